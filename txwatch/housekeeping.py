"""The service that lets go of what is kept no longer: in the embedded store, and in the ledger's queue.

InfluxDB drops whole shards by the retention of its buckets and needs nobody for it.
"""

from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from txwatch.ports import Clock, Health, Progress, RetentionPolicy

EVERY = timedelta(hours=1)


@runtime_checkable
class ExpiringStore(Protocol):
    """A store that forgets only when it is told to."""

    def newest_event(self) -> datetime | None:
        """Return the newest event time of a transaction, None if there is none."""

    def expire(self, policy: RetentionPolicy, now: datetime) -> dict[str, int]:
        """See `ports.Store.expire`."""


class QueueLedger(Protocol):
    """The part of the ledger that this service needs."""

    def forget_discoveries(self, before: datetime) -> int:
        """Delete entries of the queue from before then; returns how many."""


class HousekeepingService:
    """Once an hour deletes what the policy keeps no longer.

    Ages count from the newest event, or from now where that is earlier: history that somebody loads to look
    at it is not deleted for its age.
    """

    name = "housekeeping"

    def __init__(
        self, store: ExpiringStore, ledger: QueueLedger, clock: Clock, policy: RetentionPolicy
    ) -> None:
        self._store, self._ledger, self._clock, self._policy = store, ledger, clock, policy
        self._due = clock.now() + EVERY
        self._gone: dict[str, int] = {}

    def step(self) -> Progress:
        """Delete, if it is time."""
        now = self._clock.now()
        if now >= self._due:
            self._due = now + EVERY
            self._clean(now)
        return Progress(handled=0, finished=True)

    def health(self) -> Health:
        """Return what went since the start."""
        told = ", ".join(f"{count:,} {kind}" for kind, count in self._gone.items() if count)
        figures = {f"{kind}_total": float(count) for kind, count in self._gone.items()}
        return Health(name=self.name, state="ok", sentence=f"expired: {told or 'nothing'}", figures=figures)

    def close(self) -> None:
        """Nothing is held back, so nothing is to be finished."""

    def _clean(self, now: datetime) -> None:
        newest = self._store.newest_event()
        if newest is None:
            return
        gone = self._store.expire(self._policy, min(now, newest))
        gone["discoveries"] = self._ledger.forget_discoveries(now - self._policy.anomalies)
        for kind, count in gone.items():
            self._gone[kind] = self._gone.get(kind, 0) + count
