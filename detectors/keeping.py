"""Keeps the state of the detection with its place, without holding up the scoring.

    1. Between two batches, copy the state.
    2. Aside, in another thread: turn the copy into bytes, write them to a file, sync it.
    3. Between two batches, record the file together with the place at which the copy was taken: the cursors,
       and the last act (see `acts`) that is in it.

Only 1 and 3 make a transaction wait; they take a fraction of 2.  Nothing else waits for the disk: what is
done to the state beside reading is recorded as an act.  A crash before 3 leaves the state before in force,
from which more is replayed.  There is never more than one on its way, so that they are recorded in the
order in which they were taken.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future
from typing import Protocol

import msgspec

from txwatch.ledger.snapshots import Written
from txwatch.model import Cursor, Partition
from txwatch.ports import Clock

QUIET_SECONDS = 1.0
"""How long nothing has come when what is in memory is kept without waiting for its time."""

REST = 50.0
"""A copy takes no more of the time than one part in this many: large states are kept less often."""


class SnapshotLedger(Protocol):
    """The part of the ledger that keeps states."""

    def write_snapshot(self, consumer: str, payload: Iterable[bytes]) -> Written:
        """Write a state to a file; may be called in any thread."""

    def record_snapshot(
        self,
        consumer: str,
        cursors: Mapping[Partition, Cursor],
        written: Written,
        version: str,
        act: int,
    ) -> None:
        """Make a written state the newest one, for these cursors and the acts up to a number."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a state stands: the rows up to the cursors and the acts up to a number are in it."""

    cursors: Mapping[Partition, Cursor]
    act: int


NOWHERE = Place(cursors={}, act=0)
"""Where a state stands that has seen nothing."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of a state, which nothing changes any more."""

    encode: Callable[[], Iterable[bytes]]
    version: str


class Keeping:
    """The states of one consumer: taken, on their way, recorded."""

    def __init__(
        self,
        consumer: str,
        ledger: SnapshotLedger,
        clock: Clock,
        aside: Executor,
        *,
        at: Place,
        every_seconds: float,
    ) -> None:
        """`at` is the place of the state that was kept last."""
        self._consumer, self._ledger, self._clock, self._aside = consumer, ledger, clock, aside
        self._every_seconds = every_seconds
        self._at = at
        self._taken_at = self._read_at = clock.now()
        self._copying = 0.0
        self._on_its_way: tuple[Place, str, Future[Written]] | None = None
        self.recorded = 0

    def step(self, place: Place, state: Callable[[], Kept], *, idle: bool) -> None:
        """Record what has been written; take a copy if it is time, or if nothing has come for a while."""
        now = self._clock.now()
        if not idle:
            self._read_at = now
        self._settle()
        quiet = min(now - self._read_at, now - self._taken_at).total_seconds() >= QUIET_SECONDS
        due = (now - self._taken_at).total_seconds() >= max(self._every_seconds, REST * self._copying)
        if (due or quiet) and self._on_its_way is None:
            self._taken_at = now
            if place != self._at:
                copy = state()
                self._copying = (self._clock.now() - now).total_seconds()
                self._begin(place, copy)

    def keep_last(self, place: Place, state: Callable[[], Kept]) -> None:
        """Keep a state before anything else happens, unless it is the one that was taken last."""
        self.wait()
        if place != self._at:
            self._begin(place, state())
            self.wait()

    def wait(self) -> None:
        """Record what is on its way, once it is written."""
        if self._on_its_way is not None:
            self._on_its_way[2].exception()
            self._settle()

    def close(self) -> None:
        """End the other thread."""
        self._aside.shutdown(wait=True)

    def _begin(self, place: Place, state: Kept) -> None:
        written = self._aside.submit(self._write, state)
        self._on_its_way = (place, state.version, written)
        self._at, self._taken_at = place, self._clock.now()

    def _write(self, state: Kept) -> Written:
        return self._ledger.write_snapshot(self._consumer, state.encode())

    def _settle(self) -> None:
        """Record what is written; what could not be written is given up, and its error raised."""
        if self._on_its_way is None or not self._on_its_way[2].done():
            return
        place, version, written = self._on_its_way
        if written.exception() is None:
            self._ledger.record_snapshot(self._consumer, place.cursors, written.result(), version, place.act)
            self.recorded += 1
        self._on_its_way = None
        written.result()
