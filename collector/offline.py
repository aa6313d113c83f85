"""Inputs as one stream in event-time order: what `txwatch score` reads.

A stream that is in order is read a chunk at a time.  Where it is not, all of it is read and sorted in
memory, stably, so that rows of the same time keep their order.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import polars as pl

from collector.files import STANDARD_INPUT, collected, find_files, source_name, standard_input
from collector.readers import CHUNK, Chunk, reader_for
from collector.schema import Schema
from collector.source import Collected
from txwatch.columns import POSITION, TRANSACTION

Notice = Callable[[str], None]


def read_inputs(
    inputs: Sequence[str],
    schema: Schema,
    now: Callable[[], datetime],
    *,
    stdin_csv: bool = False,
    notice: Notice = lambda _: None,
) -> Iterator[Collected]:
    """Yield all inputs in event-time order; `notice` is told, in a sentence, when they must be sorted."""
    if _in_order(inputs, schema):
        yield from _read(inputs, schema, now, stdin_csv=stdin_csv)
        return
    notice("the input is not in event-time order; sorting it in memory")
    parts = list(_read(inputs, schema, now, stdin_csv=stdin_csv))
    rows = pl.concat([pl.DataFrame(schema=POSITION | TRANSACTION), *(part.rows for part in parts)])
    rejected = tuple(record for part in parts for record in part.rejected)
    yield Collected(rows=rows.sort("timestamp", maintain_order=True), rejected=rejected)


def _read(
    inputs: Sequence[str], schema: Schema, now: Callable[[], datetime], *, stdin_csv: bool
) -> Iterator[Collected]:
    for name, chunk in _chunks(inputs, schema, stdin_csv=stdin_csv):
        yield collected(name, chunk, now())


def _chunks(inputs: Sequence[str], schema: Schema, *, stdin_csv: bool) -> Iterator[tuple[str, Chunk]]:
    for text in inputs:
        if text == STANDARD_INPUT:
            yield from (("stdin", chunk) for chunk in standard_input(schema, as_csv=stdin_csv))
            continue
        for path in find_files([text]):
            name = source_name(path)
            yield from ((name, chunk) for chunk in reader_for(path)(path, schema, 0, CHUNK))


def _in_order(inputs: Sequence[str], schema: Schema) -> bool:
    """Look through the times of all inputs; standard input cannot be looked through."""
    if STANDARD_INPUT in inputs:
        return False
    last = None
    for _, chunk in _chunks(inputs, schema, stdin_csv=False):
        times = chunk.rows["timestamp"]
        if times.is_empty():
            continue
        if not times.is_sorted() or (last is not None and times[0] < last):
            return False
        last = times[-1]
    return True
