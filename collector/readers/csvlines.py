"""CSV with a line of column names: RFC 4180, separated by commas, semicolons, tabs or bars.

A quoted field may span lines.  A quotation mark that is never closed costs its own line only: a record
that is still open after `LONGEST_RECORD` lines is given up, and reading goes on with the next line.
"""

import csv
from collections.abc import Iterator
from operator import itemgetter

import msgspec
import polars as pl

from collector.decode import Decoder, rejected
from collector.fastpath import read_frame
from collector.readers.chunk import Chunk, wanted_columns
from collector.readers.lines import Line, LineStream, Oversized, open_lines
from txwatch.errors import InputError
from txwatch.model import Rejected

SEPARATORS = ",;\t|"
LONGEST_RECORD = 1000

Fields = list[str] | Rejected
"""One record: its fields (none for a blank line), or why it is none."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What the first line says: `wanted` names the columns to read by their place."""

    separator: str
    width: int
    wanted: dict[int, str]


def read_csv(path: str, decoder: Decoder, start: int, size: int) -> Iterator[Chunk]:
    """Read a CSV file (`-` for standard input) from record `start` on."""
    with open_lines(path) as lines:
        header = read_header(lines, decoder)
        following = _skip(lines, header, start, size)
        while taken := lines.take(size):
            chunk = _chunk(taken, lines, header, decoder, following)
            following = chunk.following
            yield chunk


def read_header(lines: LineStream, decoder: Decoder) -> Header:
    """Return which columns to read and how; raises InputError where a required one is missing."""
    first = lines.take(1)
    if not first or isinstance(first[0], Oversized) or not first[0].strip():
        raise InputError(f"{lines.name} is empty; a CSV file starts with a line of column names")
    text = first[0].decode(errors="replace")
    separator = max(SEPARATORS, key=text.count)
    names = [name.strip() for name in next(csv.reader([text], delimiter=separator))]
    wanted = wanted_columns(lines.name, names, decoder)
    twice = next((name for name in wanted if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{lines.name} has two columns named {twice}")
    return Header(
        separator=separator, width=len(names), wanted={n: x for n, x in enumerate(names) if x in wanted}
    )


def _skip(lines: LineStream, header: Header, start: int, size: int) -> int:
    """Leave out records until number `start`; returns the number that comes next."""
    following = 0
    while following < start and (taken := lines.take(size)):
        if _is_simple(taken):
            lines.give_back(taken[start - following :])
            following += min(len(taken), start - following)
        else:
            following += len(_records(taken, lines, header, start - following))
    return following


def _chunk(taken: list[Line], lines: LineStream, header: Header, decoder: Decoder, first: int) -> Chunk:
    table = _simple_table(taken, header) if _is_simple(taken) else None
    if table is not None:
        read = read_frame(table, decoder)
        refused = [(row + first, why) for row, why in read.rejected]
        rows = read.rows.with_columns(pl.col("row") + first)
        return Chunk(rows=rows, rejected=tuple(refused), following=first + len(taken))
    return _from_records(_records(taken, lines, header, len(taken)), header, decoder, first)


def _is_simple(taken: list[Line]) -> bool:
    """Whether every line is a record, without looking at each."""
    lines = [line for line in taken if isinstance(line, bytes)]
    if len(lines) < len(taken) or max(map(len, lines)) > csv.field_size_limit():
        return False
    text = b"\n".join(lines)
    return b'"' not in text and b"\r" not in text


def _simple_table(taken: list[Line], header: Header) -> pl.DataFrame | None:
    """Lines without quotation marks as a table, None where not all of them have the header's width."""
    text = b"\n".join(taken)  # type: ignore[arg-type]  # simple lines are bytes
    if header.width == 1 or text.count(header.separator.encode()) != len(taken) * (header.width - 1):
        return None
    try:
        table = pl.read_csv(
            text,
            has_header=False,
            separator=header.separator,
            quote_char=None,
            schema={f"column_{n + 1}": pl.String() for n in range(header.width)},
            columns=[f"column_{n + 1}" for n in header.wanted],
        )
    except (pl.exceptions.PolarsError, UnicodeError):
        return None
    if table.height != len(taken):
        return None
    return table.rename({f"column_{n + 1}": name for n, name in header.wanted.items()})


def _records(taken: list[Line], lines: LineStream, header: Header, most: int) -> list[Fields]:
    """The first records, up to `most`, of these lines; what is left of the lines is given back.

    A last record that goes on beyond the lines is left for the next time, unless it is the only one.
    """
    texts = [_as_text(line) for line in taken]
    found = _one_a_line(texts, header.separator)
    if found is not None:
        lines.give_back(taken[most:])
        return found[:most]
    found, at = [], 0
    while at < len(texts) and len(found) < most:
        record, used = _next_record(texts, at, header.separator)
        is_open = used == 0 and len(texts) - at < LONGEST_RECORD and not lines.is_at_end
        if is_open and at > 0:
            break
        if is_open:
            more = lines.take(LONGEST_RECORD)
            taken, texts = [*taken, *more], [*texts, *map(_as_text, more)]
            continue
        found.append(record)
        at += max(used, 1)
    lines.give_back(taken[at:])
    return found


def _as_text(line: Line) -> str | Rejected:
    if isinstance(line, Oversized):
        return line.rejected
    try:
        return line.decode()
    except UnicodeDecodeError:
        return rejected("not_utf8", "the line is not UTF-8 text", line)


def _one_a_line(texts: list[str | Rejected], separator: str) -> list[Fields] | None:
    """The records, where every line is exactly one."""
    whole = [text for text in texts if isinstance(text, str)]
    try:
        records: list[Fields] = [*csv.reader(whole, delimiter=separator, strict=True)]
    except csv.Error:
        return None
    return records if len(records) == len(texts) else None


def _next_record(texts: list[str | Rejected], at: int, separator: str) -> tuple[Fields, int]:
    """The record that begins in a line, and how many lines it takes; 0 where it does not end."""
    first = texts[at]
    if isinstance(first, Rejected):
        return first, 1
    reader = csv.reader(_following(texts, at), delimiter=separator, strict=True)
    try:
        return next(reader), reader.line_num
    except csv.Error as error:
        is_open = "unexpected end" in str(error) and at + reader.line_num == len(texts)
        return rejected("not_csv", f"the line is no CSV: {error}", first.encode()), 0 if is_open else 1


def _following(texts: list[str | Rejected], at: int) -> Iterator[str]:
    for text in texts[at : at + LONGEST_RECORD]:
        if isinstance(text, Rejected):
            return
        yield text + "\n"


def _from_records(records: list[Fields], header: Header, decoder: Decoder, first: int) -> Chunk:
    whole: list[tuple[int, list[str]]] = []
    refused: list[tuple[int, Rejected]] = []
    for number, record in enumerate(records, first):
        if isinstance(record, Rejected):
            refused.append((number, record))
        elif len(record) == header.width:
            whole.append((number, record))
        elif record:
            refused.append((number, _ragged(record, header)))
    read = read_frame(_table([fields for _, fields in whole], header), decoder)
    refused += ((whole[row][0], why) for row, why in read.rejected)
    numbers = pl.Series([number for number, _ in whole], dtype=pl.Int64)
    return Chunk(
        rows=read.rows.with_columns(row=numbers.gather(read.rows["row"])),
        rejected=tuple(sorted(refused, key=itemgetter(0))),
        following=first + len(records),
    )


def _table(rows: list[list[str]], header: Header) -> pl.DataFrame:
    """Text columns, empty text as null."""
    columns = {name: [row[n] or None for row in rows] for n, name in header.wanted.items()}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String()))


def _ragged(record: list[str], header: Header) -> Rejected:
    raw = header.separator.join(record).encode()
    return rejected(
        "wrong_column_count", f"the line has {len(record)} columns, the header {header.width}", raw
    )
