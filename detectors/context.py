"""The service that keeps what people need around an anomaly: the user's transactions of that hour."""

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from datetime import timedelta
from typing import Protocol, runtime_checkable

import msgspec
import polars as pl

from txwatch.model import Anomaly
from txwatch.ports import ContextStore, DiscoveryQueue, Health, Progress, TransactionQuery

CONSUMER = "context"
BATCH = 20
HOUR = timedelta(hours=1)
MOST_ROWS = 200
"""The newest of them, for a user who pays without end."""


@runtime_checkable
class TransactionsAndContext(ContextStore, Protocol):
    """The part of a store that this service needs."""

    def transactions(self, query: TransactionQuery) -> pl.DataFrame:
        """See `ports.TransactionStore.transactions`."""


class ContextService:
    """Copies the user's transactions around each anomaly to where its readers may see them.

    1. Read the next entries of the queue, in order of discovery.
    2. For each, read the user's transactions within an hour of it and write them beside the anomaly.
    3. Only then record the number: a crash before 3 writes the same points again.

    2 is done aside, in another thread with a store of its own: each anomaly takes tens of milliseconds, for
    which no transaction is to wait.  What the user does after the anomaly was found is not copied; it is
    there for a backlog only.
    """

    name = CONSUMER

    def __init__(self, store: TransactionsAndContext, queue: DiscoveryQueue, aside: Executor) -> None:
        """`aside` has one thread and ends with the service; nobody else uses `store`."""
        self._store, self._queue, self._aside = store, queue, aside
        self._at_work: tuple[int, Future[None]] | None = None
        self._position = queue.queue_position(CONSUMER)
        self._anomalies = self._rows = 0

    def step(self) -> Progress:
        """Record what is done aside; have the next entries of the queue done."""
        self._settle()
        if self._at_work is not None:
            return Progress(handled=0, waiting=True)
        entries = self._queue.discovered(self._position, BATCH)
        if entries:
            found = [msgspec.json.decode(entry.document, type=Anomaly) for entry in entries]
            self._at_work = (entries[-1].number, self._aside.submit(self._keep_all, found))
            self._settle()
        return Progress(handled=len(entries), finished=True)

    def health(self) -> Health:
        """Return how many anomalies were handled."""
        return Health(
            name=self.name,
            state="ok",
            sentence=f"{self._rows:,} transactions kept around {self._anomalies:,} anomalies",
            figures={"anomalies_total": float(self._anomalies), "rows_total": float(self._rows)},
        )

    def close(self) -> None:
        """Finish what is being done."""
        try:
            if self._at_work is not None:
                self._at_work[1].exception()
                self._settle()
        finally:
            self._aside.shutdown(wait=True)

    def _settle(self) -> None:
        if self._at_work is None or not self._at_work[1].done():
            return
        (number, done), self._at_work = self._at_work, None
        done.result()
        self._position = number
        self._queue.advance(CONSUMER, number)

    def _keep_all(self, found: Sequence[Anomaly]) -> None:
        for anomaly in found:
            self._keep(anomaly)

    def _keep(self, anomaly: Anomaly) -> None:
        if anomaly.user_id is None:
            return
        around = TransactionQuery(
            since=anomaly.timestamp - HOUR,
            until=anomaly.timestamp + HOUR,
            user_id=anomaly.user_id,
            limit=MOST_ROWS,
        )
        rows = self._store.transactions(around)
        self._store.put_context(anomaly, rows)
        self._anomalies += 1
        self._rows += rows.height
