"""`SqliteStore`: the embedded file behind `txwatch.ports.Store`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
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
from txwatch.stores.sqlite import anomalies, quarantine, series, traffic, transactions
from txwatch.stores.sqlite.conditions import milliseconds
from txwatch.stores.sqlite.file import StoreFile
from txwatch.stores.sqlite.lock import IngestLock

LAYOUTS = (
    (*transactions.TABLES, *anomalies.TABLES, *series.TABLES, *quarantine.TABLES),
    traffic.TABLES,
)
"""What each version of the file's layout added."""

EXPIRY_CHUNK = 10_000
"""Rows deleted in one transaction, so that expiry never holds up ingestion for long."""


class SqliteStore:
    """One file.  `writer` claims it for ingestion; everybody may read and write anomalies and series."""

    def __init__(self, path: Path, clock: Clock, *, writer: bool) -> None:
        self._lock = IngestLock(path) if writer else None
        self._clock = clock
        try:
            self._file = StoreFile(path, LAYOUTS)
        except BaseException:
            self._release()
            raise

    def append(self, rows: pl.DataFrame) -> None:
        """See `ports.TransactionStore.append`."""
        transactions.append(self._file, self._clock, rows)

    def feed(self, after: Mapping[Partition, Cursor], limit: int) -> pl.DataFrame:
        """See `ports.TransactionStore.feed`."""
        return transactions.feed(self._file, after, limit)

    def transactions(self, query: TransactionQuery) -> pl.DataFrame:
        """See `ports.TransactionStore.transactions`."""
        return transactions.transactions(self._file, query)

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

    def quarantined(self, *, code: str | None = None, limit: int | None = 100) -> list[Quarantined]:
        """See `ports.QuarantineStore.quarantined`."""
        return quarantine.select(self._file, code, limit)

    def counts(self) -> dict[str, int]:
        """Return how many records of each kind are stored."""
        with self._file.reading() as reading:
            return {
                table: int(reading.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
                for table in ("transactions", "anomalies", "series", "quarantine")
            }

    def expire(self, policy: RetentionPolicy, now: datetime) -> dict[str, int]:
        """Delete what is too old, a chunk at a time; returns how many records of each kind went."""
        self._expire("traffic", "start", now - policy.series)
        return {
            "transactions": self._expire("transactions", "timestamp", now - policy.transactions),
            "anomalies": self._expire("anomalies", "timestamp", now - policy.anomalies),
            "series": self._expire("series", "start", now - policy.series),
            "quarantine": self._expire("quarantine", "received_at", now - policy.quarantine),
        }

    def close(self) -> None:
        """Close the file and give the lock back; safe to call twice."""
        self._file.close()
        self._release()

    def _expire(self, table: str, column: str, before: datetime) -> int:
        gone = 0
        while True:
            with self._file.writing() as writing:
                count = writing.execute(
                    f"DELETE FROM {table} WHERE {column} < ? AND {column} <= "
                    f"(SELECT max({column}) FROM (SELECT {column} FROM {table} ORDER BY {column} LIMIT ?))",
                    (milliseconds(before), EXPIRY_CHUNK),
                ).rowcount
            gone += count
            if count == 0:
                return gone

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
