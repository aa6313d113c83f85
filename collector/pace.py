"""Replaying by event time: a source whose rows come when they are due, at a multiple of real time."""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from collector.files import split
from collector.source import Collected, Source
from txwatch.model import Partition
from txwatch.ports import Clock


class PacedSource:
    """Wraps a source in event-time order; `speed` 60 lets an hour of events pass in a minute.

    Guarantee: the wrapped source's own; it only holds rows back until they are due.
    """

    def __init__(self, source: Source, speed: float, clock: Clock) -> None:
        self._source = source
        self._speed = speed
        self._clock = clock
        self._waiting: Collected | None = None
        self._began: tuple[datetime, datetime] | None = None

    def read(self, limit: int) -> Collected:
        """Return the rows that are due by now; none where the next one is not."""
        if self._waiting is None:
            self._waiting = self._source.read(limit)
        whole = self._waiting
        due = self._due(whole.rows)
        if due >= whole.rows.height:
            self._waiting = None
            return whole
        if due == 0:
            return Collected(rows=whole.rows[:0])
        part, self._waiting = split(whole, due)
        return part

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Pass it on."""
        self._source.commit(positions)

    def close(self) -> None:
        """Close the wrapped source."""
        self._source.close()

    def _due(self, rows: pl.DataFrame) -> int:
        if rows.is_empty():
            return 0
        now = self._clock.now()
        if self._began is None:
            self._began = (now, rows["timestamp"][0])
        real, event = self._began
        reached = event + (now - real) * self._speed
        not_yet = rows["timestamp"] > reached
        return int(not_yet.arg_max() or 0) if not_yet.any() else rows.height
