"""Inputs as one stream in event-time order: what `txwatch score` reads.

Inputs that are in order stream through, a chunk at a time.  Otherwise all of them are read and sorted in
memory, stably, so that rows of the same time keep their order.  To know which, they are looked through
first; what fits into `HELD_ROWS` is kept while looking, so that only larger inputs are read twice.
Standard input cannot be read twice: all of it is held.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import polars as pl

from collector.decode import Decoder
from collector.files import collected, find_files, source_name
from collector.readers.chunk import CHUNK, Chunk
from collector.readers.csvlines import read_csv
from collector.readers.endings import reader_for
from collector.readers.jsonlines import read_json_lines
from collector.readers.lines import STANDARD_INPUT
from collector.schema import Schema
from collector.source import Collected
from txwatch.columns import POSITION, TRANSACTION

HELD_ROWS = 1_000_000

Notice = Callable[[str], None]
Parts = Iterator[Collected]


def read_inputs(
    inputs: Sequence[str],
    schema: Schema,
    now: Callable[[], datetime],
    *,
    stdin_csv: bool = False,
    notice: Notice = lambda _: None,
) -> Iterator[Collected]:
    """Yield all inputs in event-time order; `notice` is told, in a sentence, when they must be sorted.

    Rows have the columns POSITION and TRANSACTION.  Raises InputError, which may come after the rows
    before the damage.
    """
    files = None if STANDARD_INPUT in inputs else find_files(inputs)
    decoder = Decoder(schema)

    def read() -> Parts:
        for name, chunk in _chunks(inputs, decoder, stdin_csv=stdin_csv):
            yield collected(name, chunk, now())

    held, in_order = _look_through(read(), hold_all=files is None)
    if in_order:
        yield from read() if held is None else held
        return
    notice("the input is not in event-time order; sorting it in memory")
    yield _sorted(list(read()) if held is None else held)


def _look_through(parts: Parts, *, hold_all: bool) -> tuple[list[Collected] | None, bool]:
    """All parts, unless they are too many to hold, and whether they are in event-time order."""
    held: list[Collected] | None = []
    size, last, in_order = 0, None, True
    for part in parts:
        times = part.rows["timestamp"]
        if len(times):
            in_order = in_order and times.is_sorted() and (last is None or last <= times[0])
            last = times[-1]
        size += len(times) + len(part.rejected)
        if held is not None and (hold_all or not in_order or size <= HELD_ROWS):
            held.append(part)
        elif not in_order:
            return None, False
        else:
            held = None
    return held, in_order


def _sorted(parts: list[Collected]) -> Collected:
    rows = pl.concat([pl.DataFrame(schema=POSITION | TRANSACTION), *(part.rows for part in parts)])
    rejected = tuple(record for part in parts for record in part.rejected)
    return Collected(rows=rows.sort("timestamp", maintain_order=True), rejected=rejected)


def _chunks(inputs: Sequence[str], decoder: Decoder, *, stdin_csv: bool) -> Iterator[tuple[str, Chunk]]:
    for text in inputs:
        if text == STANDARD_INPUT:
            reader = read_csv if stdin_csv else read_json_lines
            yield from (("stdin", chunk) for chunk in reader(STANDARD_INPUT, decoder, 0, CHUNK))
            continue
        for path in find_files([text]):
            name = source_name(path)
            yield from ((name, chunk) for chunk in reader_for(str(path))(str(path), decoder, 0, CHUNK))
