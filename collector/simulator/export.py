"""Tables as files, whole or not at all: written beside the target, then renamed.

A stream of tables is written a piece at a time, so that memory does not grow with its length.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from txwatch.errors import TxwatchError, UsageError

SUFFIXES = (".jsonl", ".csv", ".parquet")
TIMES = "%Y-%m-%dT%H:%M:%S%.3fZ"


def check_suffix(path: Path, allowed: tuple[str, ...] = SUFFIXES) -> None:
    """Refuse a file name that says nothing about its format."""
    if path.suffix not in allowed:
        raise UsageError(f"{path} ends in none of {', '.join(allowed)}")


def write_stream(tables: Iterator[pl.DataFrame], schema: pl.Schema, path: Path) -> None:
    """Write tables with the same columns one after the other into one file.

    Raises:
        TxwatchError: the file cannot be written; nothing is left of it, and an older one is untouched.
    """

    def pieces(
        columns: list[str] | None, _predicate: object, _rows: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        return tables if columns is None else (table.select(columns) for table in tables)

    lazy = register_io_source(pieces, schema=schema)
    with whole(path) as temporary:
        if path.suffix == ".parquet":
            lazy.sink_parquet(temporary)
        elif path.suffix == ".csv":
            _times_as_text(lazy).sink_csv(temporary)
        else:
            _times_as_text(lazy).sink_ndjson(temporary)


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write one table; see `write_stream`."""
    write_stream(iter([table]), table.schema, path)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a file beside `path` that takes its place at the end, or goes when something fails."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        yield temporary
        temporary.replace(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        sentence = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TxwatchError(f"cannot write {path}: {sentence}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _times_as_text(table: pl.LazyFrame) -> pl.LazyFrame:
    return table.with_columns(pl.selectors.datetime().dt.strftime(TIMES))
