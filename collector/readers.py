"""Reading one file in chunks: every record of it comes out as a transaction or a rejection, in order.

CSV, JSON Lines (both also as .gz) and Parquet.  Memory holds one chunk, whatever the size of the file.
Numbers count the records from 0; a corrupt line is one rejected record and the rest goes on.
"""

import csv
import gzip
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, TextIO

import msgspec
import polars as pl

from collector.decode import decode, rejected
from collector.fastpath import Read, read_frame
from collector.schema import FIELDS, REQUIRED, Schema
from txwatch.columns import frame
from txwatch.errors import InputError
from txwatch.model import Rejected, Transaction

CHUNK = 65_536


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Some records of a file: `rows` has the columns TRANSACTION and `row`, the record's number."""

    rows: pl.DataFrame
    rejected: tuple[tuple[int, Rejected], ...]
    following: int
    """The number of the record after the last one in here."""


Reader = Callable[[Path, Schema, int, int], Iterator[Chunk]]


def read_csv(path: Path, schema: Schema, start: int, size: int) -> Iterator[Chunk]:
    """Read a CSV file with a header line from record `start` on."""
    with _text(path) as file:
        yield from csv_chunks(file, str(path), schema, start, size)


def csv_chunks(file: TextIO, name: str, schema: Schema, start: int, size: int) -> Iterator[Chunk]:
    """Read CSV from an open text stream."""
    lines = csv.reader(file)
    header = next(lines, None)
    if header is None:
        raise InputError(f"{name} is empty; a CSV file starts with a line of column names")
    require_columns(name, header, schema)
    wanted = [i for i, column in enumerate(header) if column in _names(schema)]
    following = start
    records = islice(_lines(lines, len(header)), start, None)
    while part := list(islice(records, size)):
        yield _csv_chunk(part, header, wanted, schema, following)
        following += len(part)


def read_json_lines(path: Path, schema: Schema, start: int, size: int) -> Iterator[Chunk]:
    """Read a file of one JSON object a line from record `start` on."""
    with _binary(path) as file:
        yield from json_chunks(file, schema, start, size)


def json_chunks(file: BinaryIO, schema: Schema, start: int, size: int) -> Iterator[Chunk]:
    """Read JSON Lines from an open binary stream; blank lines count but say nothing."""
    lines = islice(file, start, None)
    following = start
    while part := list(islice(lines, size)):
        yield _json_chunk(part, schema, following)
        following += len(part)


def read_parquet(path: Path, schema: Schema, start: int, size: int) -> Iterator[Chunk]:
    """Read a Parquet file from record `start` on; columns that the schema does not name are not read."""
    try:
        scan = pl.scan_parquet(path)
        columns = scan.collect_schema().names()
        total = int(scan.select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {_first_line(error)}") from error
    require_columns(str(path), columns, schema)
    wanted = [column for column in columns if column in _names(schema)]
    for offset in range(start, total, size):
        read = read_frame(scan.select(wanted).slice(offset, size).collect(), schema)
        yield _numbered(read, offset, min(offset + size, total))


READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".jsonl": read_json_lines,
    ".jsonl.gz": read_json_lines,
    ".ndjson": read_json_lines,
    ".ndjson.gz": read_json_lines,
    ".parquet": read_parquet,
}
"""By the ending of the file's name."""


def reader_for(path: Path) -> Reader:
    """Return the reader for a file; raises InputError naming the endings that are known."""
    for ending, reader in READERS.items():
        if path.name.lower().endswith(ending):
            return reader
    raise InputError(f"{path} is of no known kind; known endings are {', '.join(READERS)}")


def require_columns(name: str, columns: Sequence[str], schema: Schema) -> None:
    """Refuse a file that lacks a required column, saying how to name it."""
    missing = [f for f in REQUIRED if schema.column(f) not in columns and f not in schema.defaults]
    if missing:
        first = missing[0]
        there = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")  # noqa: PLR2004 - what fits a line
        raise InputError(
            f"{name} has no column for {', '.join(missing)}; it has {there}. "
            f"Name it with --map {first}=COLUMN, or give a constant with --default {first}=VALUE"
        )


def _lines(lines: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    """Go on after a line that is no CSV; it comes out with one column too many."""
    while True:
        try:
            yield next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            yield [f"not CSV: {error}"] + [""] * width


def _names(schema: Schema) -> set[str]:
    return {schema.column(field) for field in FIELDS}


def _csv_chunk(
    part: list[list[str]], header: list[str], wanted: list[int], schema: Schema, first: int
) -> Chunk:
    width = len(header)
    whole = [(first + n, line) for n, line in enumerate(part) if len(line) == width]
    broken = tuple(
        (first + n, _ragged(line, width)) for n, line in enumerate(part) if line and len(line) != width
    )
    columns = list(zip(*(line for _, line in whole), strict=True)) or [()] * width
    read = read_frame(_strings({header[i]: columns[i] for i in wanted}, schema), schema)
    numbers = pl.Series([number for number, _ in whole], dtype=pl.Int64)
    refused = ((whole[n][0], why) for n, why in read.rejected)
    return Chunk(
        rows=read.rows.with_columns(row=numbers.gather(read.rows["row"])),
        rejected=tuple(sorted([*broken, *refused], key=itemgetter(0))),
        following=first + len(part),
    )


def _strings(columns: dict[str, Sequence[str]], schema: Schema) -> pl.DataFrame:
    """Text columns, empty text as null; numbers as numbers where all of a column's texts are numbers."""
    texts = {name: _encodable(column) for name, column in columns.items()}
    table = pl.DataFrame(texts, schema=dict.fromkeys(columns, pl.String()))
    table = table.with_columns(pl.all().replace("", None))
    for field in ("amount", "lat", "lon"):
        name = schema.column(field)
        if name in table.columns:
            values = table[name].cast(pl.Float64, strict=False)
            if values.null_count() == table[name].null_count():
                table = table.with_columns(values)
    return table


def _encodable(texts: Sequence[str]) -> Sequence[str]:
    """Bytes that were no UTF-8 became surrogates; make them the control character that the schema refuses."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return [_marked(text) if _broken(text) else text for text in texts]
    return texts


def _marked(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace") + "\x00"


def _broken(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _ragged(line: list[str], width: int) -> Rejected:
    raw = ",".join(line).encode(errors="surrogateescape")
    return rejected("wrong_column_count", f"the line has {len(line)} columns, the header {width}", raw)


def _json_chunk(part: list[bytes], schema: Schema, first: int) -> Chunk:
    numbers: list[int] = []
    taken: list[Transaction] = []
    bad: list[tuple[int, Rejected]] = []
    for number, line in enumerate(part, start=first):
        text = line.strip()
        if not text:
            continue
        result = decode(text, schema)
        if isinstance(result, Transaction):
            numbers.append(number)
            taken.append(result)
        else:
            bad.append((number, result))
    rows = frame(taken).with_columns(row=pl.Series(numbers, dtype=pl.Int64))
    return Chunk(rows=rows, rejected=tuple(bad), following=first + len(part))


def _numbered(read: Read, offset: int, following: int) -> Chunk:
    return Chunk(
        rows=read.rows.with_columns(pl.col("row").cast(pl.Int64) + offset),
        rejected=tuple((number + offset, why) for number, why in read.rejected),
        following=following,
    )


def _binary(path: Path) -> BinaryIO:
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]  # both are binary streams
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _text(path: Path) -> TextIO:
    settings = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    try:
        return gzip.open(path, "rt", **settings) if path.suffix == ".gz" else path.open(**settings)  # type: ignore[call-overload,no-any-return]  # both are text streams
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
