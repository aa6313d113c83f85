"""Appending transactions: what is new gets an arrival and a place in a chunk.

Guarantee: a batch is there whole or not at all; what was delivered before, which is what has a sequence at
or below its partition's last one, changes nothing.  Arrivals grow strictly over all partitions of the
file, since each append counts on from the last one in its own write transaction: the feed has one order
for good, the order in which rows were handed in.
"""

import sqlite3

import polars as pl

from txwatch.columns import FEED
from txwatch.errors import StoreError
from txwatch.model import Partition
from txwatch.ports import Clock
from txwatch.stores.sqlite import chunks
from txwatch.stores.sqlite.file import StoreFile

TABLES = (
    (
        "CREATE TABLE partitions (source TEXT NOT NULL, partition INTEGER NOT NULL, "
        "sequence INTEGER NOT NULL, arrival INTEGER NOT NULL, PRIMARY KEY (source, partition)) WITHOUT ROWID"
    ),
    *chunks.TABLES,
)
"""`partitions` keeps each one's last sequence and arrival, even when its rows have expired."""

REQUIRED = ("transaction_id", "timestamp", "user_id", "merchant_id", "amount", "currency", "status")
SMALL_CHUNKS = 8
"""So many small chunks at the end of a partition are merged; a trickle costs one merge in that many."""

_BEFORE_ALL = -(2**63)


def append(file: StoreFile, clock: Clock, rows: pl.DataFrame) -> None:
    """Write the rows that are not there yet, all or none."""
    _refuse_incomplete(rows)
    with file.writing() as writing:
        first = _next_arrival(writing, clock)
        arrived = rows.with_columns(arrival=first + pl.int_range(pl.len(), dtype=pl.Int64))
        for key, part in arrived.group_by("source", "partition", maintain_order=True):
            place = Partition(*key)
            fresh = _beyond(part, _last_sequence(writing, place))
            if not fresh.is_empty():
                chunks.insert(writing, place, fresh)
                _merge_small(writing, place)
                last = (*place, fresh["sequence"][-1], fresh["arrival"][-1])
                writing.execute("REPLACE INTO partitions VALUES (?, ?, ?, ?)", last)


def _refuse_incomplete(rows: pl.DataFrame) -> None:
    missing = [name for name in REQUIRED if rows[name].null_count()]
    if missing:
        raise StoreError(f"a transaction without {missing[0]} cannot be stored; nothing of its batch was")


def _beyond(rows: pl.DataFrame, last: int) -> pl.DataFrame:
    """Drop redeliveries, those within the batch too."""
    highest = pl.col("sequence").cum_max().shift(1)
    return rows.filter(pl.col("sequence") > pl.max_horizontal(pl.lit(last, pl.Int64), highest)).select(
        list(FEED)
    )


def _merge_small(writing: sqlite3.Connection, place: Partition) -> None:
    text = "SELECT number, rows FROM chunks WHERE source = ? AND partition = ? ORDER BY last DESC LIMIT ?"
    tail = writing.execute(text, (*place, SMALL_CHUNKS)).fetchall()
    if len(tail) == SMALL_CHUNKS and sum(rows for _, rows in tail) <= chunks.CHUNK_ROWS:
        numbers = [number for number, _ in reversed(tail)]
        merged = pl.concat([chunks.read(writing, number) for number in numbers])
        chunks.delete(writing, numbers)
        chunks.insert(writing, place, merged)


def _next_arrival(writing: sqlite3.Connection, clock: Clock) -> int:
    last = writing.execute("SELECT max(arrival) FROM partitions").fetchone()[0] or 0
    return max(int(clock.now().timestamp() * 1e9), last + 1)


def _last_sequence(writing: sqlite3.Connection, place: Partition) -> int:
    text = "SELECT sequence FROM partitions WHERE source = ? AND partition = ?"
    row = writing.execute(text, place).fetchone()
    return _BEFORE_ALL if row is None else int(row[0])
