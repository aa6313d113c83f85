"""`SqliteStore`: the embedded file behind `txwatch.ports.Store`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from txwatch.model import Anomaly, Cursor, Partition, Quarantined
from txwatch.ports import (
    AnomalyQuery,
    Clock,
    RetentionPolicy,
    SeriesPoint,
    SeriesQuery,
    TrafficPoint,
    TrafficQuery,
    TransactionQuery,
)
from txwatch.stores.sqlite import anomalies, history, quarantine, series, traffic, transactions
from txwatch.stores.sqlite.expiry import expire_records, expire_transactions
from txwatch.stores.sqlite.feed import Feed
from txwatch.stores.sqlite.file import StoreFile
from txwatch.stores.sqlite.layout import prepare
from txwatch.stores.sqlite.lock import IngestLock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COUNTS = {
    "transactions": "SELECT coalesce(sum(rows), 0) FROM chunks",
    "anomalies": "SELECT count(*) FROM anomalies",
    "series": "SELECT count(*) FROM series",
    "quarantine": "SELECT count(*) FROM quarantine",
}
"""Kind of record -> the question how many there are."""

EXPIRING = (
    ("anomalies", "anomaly_id", "timestamp", "anomalies"),
    ("series", "series, start", "start", "series"),
    ("traffic", "start, seconds, source, partition, dimension, value", "start", "series"),
    ("quarantine", "source, partition, sequence", "received_at", "quarantine"),
)
"""Tables beside the transactions: name, key, the column of their time, the policy that holds for them."""


class SqliteStore:
    """One file.  `writer` claims it for ingestion; everybody may read and write anomalies and series."""

    def __init__(self, path: Path, clock: Clock, *, writer: bool) -> None:
        self._lock = IngestLock(path) if writer else None
        self._clock = clock
        try:
            self._file = StoreFile(path, prepare)
        except BaseException:
            self._release()
            raise
        self._feed = Feed(self._file)

    def append(self, rows: pl.DataFrame) -> None:
        """See `ports.TransactionStore.append`."""
        if not rows.is_empty():
            transactions.append(self._file, self._clock, rows)

    def feed(self, after: Mapping[Partition, Cursor], limit: int) -> pl.DataFrame:
        """See `ports.TransactionStore.feed`."""
        return self._feed.read(after, limit)

    def transactions(self, query: TransactionQuery) -> pl.DataFrame:
        """See `ports.TransactionStore.transactions`."""
        return history.transactions(self._file, query)

    def put_anomalies(self, found: Sequence[Anomaly]) -> None:
        """See `ports.AnomalyStore.put_anomalies`."""
        anomalies.put(self._file, found)

    def anomalies(self, query: AnomalyQuery) -> list[Anomaly]:
        """See `ports.AnomalyStore.anomalies`."""
        return anomalies.select(self._file, query)

    def put_series(self, points: Sequence[SeriesPoint]) -> None:
        """See `ports.SeriesStore.put_series`."""
        series.put(self._file, points)

    def series(self, query: SeriesQuery) -> list[SeriesPoint]:
        """See `ports.SeriesStore.series`."""
        return series.select(self._file, query)

    def put_traffic(self, points: Sequence[TrafficPoint]) -> None:
        """See `ports.TrafficStore.put_traffic`."""
        traffic.put(self._file, points)

    def traffic(self, query: TrafficQuery) -> list[TrafficPoint]:
        """See `ports.TrafficStore.traffic`."""
        return traffic.select(self._file, query)

    def quarantine(self, records: Sequence[Quarantined]) -> None:
        """See `ports.QuarantineStore.quarantine`."""
        quarantine.put(self._file, records)

    def drop(self, records: Sequence[Quarantined]) -> None:
        """See `ports.QuarantineStore.drop`."""
        quarantine.drop(self._file, records)

    def quarantined(self, *, code: str | None = None, limit: int | None = 100) -> list[Quarantined]:
        """See `ports.QuarantineStore.quarantined`."""
        return quarantine.select(self._file, code, limit)

    def counts(self) -> dict[str, int]:
        """Return how many records of each kind are stored."""
        with self._file.reading() as reading:
            return {kind: int(reading.execute(text).fetchone()[0]) for kind, text in COUNTS.items()}

    def newest_event(self) -> datetime | None:
        """Return the newest event time of a transaction, None if there is none."""
        with self._file.reading() as reading:
            (until,) = reading.execute("SELECT max(until) FROM chunks").fetchone()
        return None if until is None else EPOCH + timedelta(milliseconds=until)

    def expire(self, policy: RetentionPolicy, now: datetime) -> dict[str, int]:
        """Delete what is too old, a chunk at a time; returns how many records of each kind went."""
        file, clock = self._file, self._clock
        gone = {"transactions": expire_transactions(file, clock, now - policy.transactions)}
        for table, key, column, kind in EXPIRING:
            gone[table] = expire_records(file, clock, table, key, column, now - getattr(policy, kind))
        return {kind: gone[kind] for kind in COUNTS}

    def close(self) -> None:
        """Close the file and give the lock back; safe to call twice."""
        self._file.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
