"""The collector at work: read, store the good, quarantine the bad, and only then commit."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from collector.patience import Patience
from collector.refused import refused_record
from collector.source import Collected, SharedSource, Source
from collector.tally import Tally
from txwatch.errors import RowsRefusedError, StoreError
from txwatch.model import Partition, Quarantined
from txwatch.ports import Clock, Health, Progress, QuarantineStore, TransactionStore


class PositionLedger(Protocol):
    """The part of the ledger that the collector needs."""

    def commit_positions(self, moved: Mapping[Partition, int]) -> None:
        """Record the next sequence of each partition."""


class NoPositions:
    """In place of the ledger, for a source that keeps its positions itself."""

    def commit_positions(self, moved: Mapping[Partition, int]) -> None:
        """Leave it to the source."""


class CollectorService:
    """Moves every message from a source into the store or into quarantine, whatever dies on the way.

    1. Read what is there.
    2. Append the good rows to the store.
    3. Put the bad ones into quarantine, together with rows that the store will never take.
    4. Only then commit the positions, first to the ledger, then to the source.

    A crash before 4 makes the same messages come again; they are known by their identity, so nothing is
    stored twice.  A position that lags behind only costs such a repetition.  While the store is busy
    nothing more is read, so memory stays bounded; what was read is tried again from 2.
    """

    name = "collector"

    def __init__(
        self,
        source: Source,
        store: TransactionStore,
        quarantine: QuarantineStore,
        ledger: PositionLedger,
        clock: Clock,
        *,
        batch: int = 1000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`monotonic` gives seconds, for waiting before a write is tried again, and for rates."""
        self._source = source
        self._shared = source if isinstance(source, SharedSource) else None
        self._store = store
        self._quarantine = quarantine
        self._ledger = ledger
        self._clock = clock
        self._batch = batch
        self._monotonic = monotonic
        self._pending: Collected | None = None
        self._patience = Patience(monotonic)
        self._tally = Tally(monotonic())

    def step(self) -> Progress:
        """Take the next messages one step further; while the store is busy, wait without blocking."""
        pending = self._next()
        if not pending.positions:
            self._pending = None
            return Progress(handled=0, finished=pending.finished, waiting=pending.expecting)
        if not self._patience.may_try() or not self._written(pending):
            return Progress(handled=0, waiting=True)
        self._pending = None
        return Progress(handled=max(1, pending.rows.height + len(pending.rejected)))

    def health(self) -> Health:
        """Return what was stored and rejected since the start, how fast, and how far behind."""
        trouble = self._patience.trouble or (self._shared.trouble() if self._shared else "")
        return Health(
            name=self.name,
            state="degraded" if trouble else "ok",
            sentence=trouble or self._tally.sentence(),
            figures=self._tally.figures(self._clock.now(), self._monotonic()),
            labelled=self._shared.figures() if self._shared else (),
        )

    def close(self) -> None:
        """Close the source; what was read and not committed comes again."""
        self._source.close()

    def _next(self) -> Collected:
        if self._pending is None:
            self._pending = self._source.read(self._batch)
        elif self._shared is not None:
            self._pending = self._shared.hold(self._pending)
        return self._pending

    def _written(self, pending: Collected) -> bool:
        try:
            refused = self._append(pending)
            self._quarantine.quarantine([*pending.rejected, *refused])
            self._ledger.commit_positions(pending.positions)
        except StoreError as error:
            self._patience.put_off(error)
            self._tally.retries += 1
            return False
        self._source.commit(pending.positions)
        self._patience.end()
        self._tally.add(pending, refused, self._monotonic())
        return True

    def _append(self, pending: Collected) -> list[Quarantined]:
        try:
            self._store.append(pending.rows)
        except RowsRefusedError as error:
            return [refused_record(row, pending.rows, self._clock.now()) for row in error.refused]
        return []
