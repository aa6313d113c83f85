"""Parquet: columns that the schema does not name are not even read."""

from collections.abc import Iterator

import polars as pl

from collector.decode import Decoder
from collector.fastpath import read_frame
from collector.readers.chunk import Chunk, numbered, wanted_columns
from txwatch.errors import InputError


def read_parquet(path: str, decoder: Decoder, start: int, size: int) -> Iterator[Chunk]:
    """Read a Parquet file from record `start` on."""
    scan, columns, total = _open(path)
    wanted = wanted_columns(path, columns, decoder)
    for first in range(start, total, size):
        table = _collect(path, scan.select(wanted).slice(first, size))
        yield numbered(read_frame(table, decoder), first, table.height)


def _open(path: str) -> tuple[pl.LazyFrame, list[str], int]:
    try:
        with open(path, "rb"):  # noqa: PTH123 - a file that may not be read is told apart from a damaged one
            scan = pl.scan_parquet(path, glob=False)
        return scan, scan.collect_schema().names(), int(scan.select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path} cannot be read as Parquet: {_first_line(error)}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or _first_line(error)}") from error


def _collect(path: str, part: pl.LazyFrame) -> pl.DataFrame:
    try:
        return part.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} is damaged: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
