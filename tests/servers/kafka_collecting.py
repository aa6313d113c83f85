"""A collector of a real Kafka inside a test, stepped by hand, with a store that fails as told."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from collector.deadletter import open_dead_letters
from collector.kafka.opening import open_kafka
from collector.pipeline import CollectorService, NoPositions
from collector.schema import Schema
from txwatch.clock import SystemClock
from txwatch.errors import StoreBusyError
from txwatch.ports import TransactionQuery
from txwatch.testing import MemoryStore

PATIENCE_SECONDS = 60.0


class TellingStore(MemoryStore):
    """A store that is busy while told to be, and that says what it was given."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.busy = False
        self.given: list[tuple[str, int, int]] = []

    def append(self, rows) -> None:
        """Take the rows, or none of them."""
        if self.busy:
            raise StoreBusyError("the store is slow")
        self.given += rows.select("source", "partition", "sequence").rows()
        super().append(rows)

    @property
    def ids(self) -> list[str]:
        """Return every transaction's id as often as it is stored."""
        return sorted(self.transactions(TransactionQuery())["transaction_id"])

    @property
    def sources(self) -> set[str]:
        """Return the names of the sources of what is stored."""
        return set(self.transactions(TransactionQuery())["source"])


class Collecting:
    """One collector: `step` it, or step it `until` something holds."""

    def __init__(
        self, address: str, store: TellingStore, environment: Mapping[str, str] | None = None, **options: bool
    ) -> None:
        clock = SystemClock()
        self.source = open_kafka(
            address,
            Schema(),
            environment or {},
            now=clock.now,
            keep=timedelta(days=30),
            forget=lambda _: None,
            dead_letters=open_dead_letters(address, environment or {}),
            until_end=options.get("once", False),
        )
        self.store = store
        dead = self.source.dead_letters or store
        self.service = CollectorService(self.source, store, dead, NoPositions(), clock, batch=2_000)

    def step(self) -> None:
        """Take one step, and a breath if there was nothing to do."""
        if self.service.step().handled == 0:
            time.sleep(0.01)

    def until(self, done: Callable[[], bool], *others: "Collecting") -> None:
        """Step, with others in turn, until something holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {PATIENCE_SECONDS:.0f} s; {self.service.health()}")
            for each in (self, *others):
                each.step()

    def has(self, count: int) -> bool:
        """Tell whether so many are stored."""
        return self.store.counts()["transactions"] >= count

    @property
    def handled(self) -> int:
        """Return how many messages are stored or in quarantine since it started."""
        figures = self.service.health().figures
        return int(figures["transactions_total"] + figures["quarantined_total"])

    def figure(self, name: str, **labels: str) -> float | None:
        """Return a labelled figure, None while nothing is known."""
        found = (each.value for each in self.source.figures() if each.name == name and each.labels == labels)
        return next(found, None)

    @property
    def partitions(self) -> int:
        """Return how many partitions it has."""
        return int(self.figure("kafka_partitions") or 0)

    def close(self) -> None:
        """End in order."""
        self.service.close()
