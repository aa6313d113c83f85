"""The feed in SQLite: the chunks beyond the cursors, merged by arrival."""

import heapq
import sqlite3
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import polars as pl

from txwatch.columns import FEED
from txwatch.model import Cursor, Partition
from txwatch.stores.sqlite import chunks
from txwatch.stores.sqlite.file import StoreFile

UNPACKED = 64
"""Chunks kept in memory: a reader passes through one in several steps, once in each partition."""

_BEFORE_ALL = -(2**63)
_CHUNKS = "SELECT arrival, number FROM chunks WHERE source = ? AND partition = ? AND last > ? ORDER BY last"


class Waiting(NamedTuple):
    """A chunk with rows beyond the cursor: its first arrival, its number, and that cursor's sequence."""

    arrival: int
    number: int
    read: int


class Feed:
    """Reads one file's feed."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._unpacked: dict[int, pl.DataFrame] = {}

    def read(self, after: Mapping[Partition, Cursor], limit: int) -> pl.DataFrame:
        """Return at most `limit` rows beyond the cursors, by arrival."""
        with self._file.reading() as reading:
            parts = self._beyond(reading, after, limit)
        return pl.concat([pl.DataFrame(schema=FEED), *parts]).sort("arrival").head(limit)

    def _beyond(
        self, reading: sqlite3.Connection, after: Mapping[Partition, Cursor], limit: int
    ) -> list[pl.DataFrame]:
        """Unpack chunks by their first arrival until no later one can hold one of the first `limit` rows."""
        parts: list[pl.DataFrame] = []
        for chunk in heapq.merge(*_waiting(reading, after)):
            if _complete(parts, limit, chunk.arrival):
                break
            parts.append(self._rows(reading, chunk.number).filter(pl.col("sequence") > chunk.read))
        return parts

    def _rows(self, reading: sqlite3.Connection, number: int) -> pl.DataFrame:
        rows = self._unpacked.pop(number, None)
        if rows is None:
            rows = chunks.read(reading, number)
        self._unpacked[number] = rows
        if len(self._unpacked) > UNPACKED:
            del self._unpacked[next(iter(self._unpacked))]
        return rows


def _waiting(reading: sqlite3.Connection, after: Mapping[Partition, Cursor]) -> Iterator[Iterator[Waiting]]:
    text = "SELECT source, partition, sequence FROM partitions"
    for source, partition, newest in reading.execute(text).fetchall():
        place = Partition(source, partition)
        read = after[place].sequence if place in after else _BEFORE_ALL
        if read < newest:
            yield _chunks(reading, place, read)


def _chunks(reading: sqlite3.Connection, place: Partition, read: int) -> Iterator[Waiting]:
    for arrival, number in reading.execute(_CHUNKS, (*place, read)):
        yield Waiting(arrival, number, read)


def _complete(parts: list[pl.DataFrame], limit: int, following: int) -> bool:
    if sum(part.height for part in parts) < limit:
        return False
    arrivals = pl.concat([part["arrival"] for part in parts]).sort()
    return limit == 0 or bool(arrivals[limit - 1] < following)
