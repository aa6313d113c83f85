"""The service of entities: read the feed, write rows by user, count merchants' hours, commit."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import polars as pl

from collector.entities.hours import MerchantHours
from collector.patience import Patience
from txwatch.canary import Canaries, without
from txwatch.errors import StoreError
from txwatch.model import Anomaly, Cursor, Partition
from txwatch.ports import EntityStore, Health, Progress

CONSUMER = "entities"
BATCH = 5_000
FLUSH_SECONDS = 10.0
MOST_CHANGED = 50_000
"""Changed hours in memory, from which on they are written before their time."""


class EntityLedger(Protocol):
    """The part of the ledger that this service needs."""

    def cursors(self, consumer: str) -> dict[Partition, Cursor]:
        """Return how far the consumer's results are committed."""

    def commit_step(
        self, consumer: str, cursors: Mapping[Partition, Cursor], anomalies: Sequence[Anomaly]
    ) -> None:
        """Move the cursors."""


class FeedAndEntities(EntityStore, Protocol):
    """The part of a store that this service needs."""

    def feed(self, after: Mapping[Partition, Cursor], limit: int) -> pl.DataFrame:
        """See `ports.TransactionStore.feed`."""


class EntityService:
    """Writes every transaction of the feed by its user, and counts it once in its merchant's hour.

    1. Read the feed beyond the cursors; write the rows by user (a row written again is the same point).
    2. Count them; an hour not counted by this process is read from the store first.
    3. Every `flush_seconds`: write the hours that changed, as absolute values; commit the cursors.

    A crash anywhere makes rows be read again that hours already hold; each hour says how far it reaches.
    Run one instance: two may set an hour back until the one that is ahead writes it again.
    """

    name = CONSUMER

    def __init__(
        self,
        store: FeedAndEntities,
        ledger: EntityLedger,
        *,
        rates: Mapping[str, float] | None = None,
        canaries: Canaries | None = None,
        flush_seconds: float = FLUSH_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Go on behind the committed cursors; `monotonic` gives seconds, for what is due."""
        self._store, self._ledger, self._monotonic = store, ledger, monotonic
        self._canaries = canaries
        self._hours = MerchantHours(store.merchant_hours, rates or {})
        self._flush_seconds = flush_seconds
        self._cursors = ledger.cursors(CONSUMER)
        self._committed = dict(self._cursors)
        self._flushed_at = monotonic()
        self._patience = Patience(monotonic)
        self._transactions = self._written = 0

    def step(self) -> Progress:
        """Take the next batch of the feed; write what is due."""
        if not self._patience.may_try():
            return Progress(handled=0)
        try:
            handled = self._take()
            if self._is_due():
                self._flush()
        except StoreError as error:
            self._patience.put_off(error)
            return Progress(handled=0)
        self._patience.end()
        return Progress(handled=handled, finished=True)

    def health(self) -> Health:
        """Return what was taken and written since the start."""
        trouble = self._patience.trouble
        return Health(
            name=self.name,
            state="degraded" if trouble else "ok",
            sentence=trouble or f"{self._transactions:,} transactions filed by user and merchant",
            figures={
                "transactions_total": float(self._transactions),
                "merchant_hours_written_total": float(self._written),
                "merchant_hours": float(len(self._hours)),
            },
        )

    def close(self) -> None:
        """Write what is counted; safe to call twice."""
        if self._cursors != self._committed:
            self._flush()

    def _take(self) -> int:
        rows = self._store.feed(self._cursors, BATCH)
        if rows.is_empty():
            return 0
        counted = without(rows, self._canaries)
        self._store.put_by_user(counted)
        self._hours.add(counted)
        last = rows.group_by("source", "partition").agg(pl.col("arrival", "sequence").last())
        self._cursors.update({Partition(s, p): Cursor(a, n) for s, p, a, n in last.iter_rows()})
        self._transactions += rows.height
        return rows.height

    def _is_due(self) -> bool:
        waited = self._monotonic() - self._flushed_at
        return self._cursors != self._committed and (
            waited >= self._flush_seconds or self._hours.dirty > MOST_CHANGED
        )

    def _flush(self) -> None:
        changed = self._hours.changed()
        self._store.put_merchant_hours(changed)
        self._ledger.commit_step(CONSUMER, self._cursors, [])
        self._committed = dict(self._cursors)
        self._hours.clean()
        self._written += changed.height
        self._flushed_at = self._monotonic()
