"""The service that copies what was looked at to where dashboards read it, and forgets what is old."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from txwatch.coverage import Tally
from txwatch.errors import StoreBusyError
from txwatch.ports import Clock, CoverageStore, Health, Progress

CONSUMER = "coverage"
BATCH = 500
EVERY = timedelta(seconds=10)
FORGET_EVERY = timedelta(hours=1)


class Shelf(Protocol):
    """The part of the ledger that keeps what was looked at: see `txwatch.ledger.coverage`."""

    def changed(self, after: int, limit: int) -> tuple[int, Mapping[datetime, Mapping[str, Tally]]]:
        """Return windows that changed after a revision, and the newest revision of them."""

    def newest(self) -> datetime | None:
        """Return the start of the newest window."""

    def forget(self, before: datetime) -> int:
        """Delete windows that started before then."""


class CoverageLedger(Protocol):
    """The part of the ledger that this service needs."""

    def coverage(self) -> Shelf:
        """Return the part that keeps what was looked at."""

    def queue_position(self, name: str) -> int:
        """Return the revision that `name` has handled last."""

    def advance(self, name: str, number: int) -> None:
        """Record durably that `name` has handled everything up to a revision."""


class CoverageService:
    """Copies each window that changed, every ten seconds, as absolute counts.

    1. Read the windows that changed since the last revision that was copied.
    2. Write them to the store; a window that is written again replaces itself.
    3. Only then record the revision.

    Once an hour it forgets windows that are older than transactions are `kept`, counted from the newest:
    beyond that there is nothing left to evaluate afterwards.
    """

    name = CONSUMER

    def __init__(
        self, ledger: CoverageLedger, clock: Clock, kept: timedelta, store: CoverageStore | None = None
    ) -> None:
        """Without a `store` that takes copies, it only forgets."""
        self._ledger, self._shelf, self._clock = ledger, ledger.coverage(), clock
        self._kept, self._store = kept, store
        self._due = self._forget_due = clock.now()
        self._position = ledger.queue_position(CONSUMER)
        self._copied = 0

    def step(self) -> Progress:
        """Copy and forget, if it is time; while the ledger or the store is busy, later."""
        now = self._clock.now()
        if now < self._due:
            return Progress(handled=0, finished=True)
        self._due = now + EVERY
        try:
            if now >= self._forget_due:
                self._forget()
                self._forget_due = now + FORGET_EVERY
            return Progress(handled=self._copy(), finished=True)
        except StoreBusyError:
            return Progress(handled=0, finished=True)

    def health(self) -> Health:
        """Return how many windows were copied since the start."""
        sentence = f"{self._copied:,} windows of what was looked at copied"
        return Health(
            name=self.name, state="ok", sentence=sentence, figures={"windows_total": float(self._copied)}
        )

    def close(self) -> None:
        """Copy what is left, if the store takes it."""
        try:
            self._copy()
        except StoreBusyError:
            return

    def _copy(self) -> int:
        if self._store is None:
            return 0
        copied = 0
        while True:
            newest, windows = self._shelf.changed(self._position, BATCH)
            if not windows:
                self._copied += copied
                return copied
            self._store.put_coverage(windows)
            self._position = newest
            self._ledger.advance(CONSUMER, newest)
            copied += len(windows)

    def _forget(self) -> None:
        newest = self._shelf.newest()
        if newest is not None and self._kept:
            self._shelf.forget(newest - self._kept)
