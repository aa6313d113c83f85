"""The store behind one InfluxDB: `txwatch.ports.Store` over the buckets of `layout`."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import polars as pl

from txwatch.copies import Copy
from txwatch.coverage import Counted
from txwatch.errors import StoreError
from txwatch.masking import Pseudonym
from txwatch.model import Anomaly, Cursor, Partition, Quarantined
from txwatch.ports import (
    AnomalyQuery,
    AuditRecord,
    Clock,
    HealthPoint,
    RetentionPolicy,
    SeriesPoint,
    SeriesQuery,
    TrafficPoint,
    TrafficQuery,
    TransactionQuery,
)
from txwatch.stores.influx.anomalies import put_anomalies, put_context, read_anomalies
from txwatch.stores.influx.audit import put_audit
from txwatch.stores.influx.changes import put_change, versions_in_use
from txwatch.stores.influx.conditions import between, where
from txwatch.stores.influx.connection import Access, Connection
from txwatch.stores.influx.copies import put_copies
from txwatch.stores.influx.coverage import put_coverage
from txwatch.stores.influx.entities import BY_USER, put_by_user
from txwatch.stores.influx.feed import read_feed
from txwatch.stores.influx.health import put_health
from txwatch.stores.influx.history import read_transactions
from txwatch.stores.influx.layout import (
    ANOMALIES,
    CASES,
    FEED,
    METRICS,
    QUARANTINE,
    STORE_BUCKETS,
    TRANSACTIONS,
    retentions,
)
from txwatch.stores.influx.layout import COUNTED as COUNTED_TRAFFIC
from txwatch.stores.influx.merchants import MERCHANTS, put_merchant_hours, read_merchant_hours
from txwatch.stores.influx.quarantine import drop_quarantined, put_quarantined, read_quarantined
from txwatch.stores.influx.series import put_series, read_series
from txwatch.stores.influx.sizes import read_sizes
from txwatch.stores.influx.traffic import MEASUREMENT, put_traffic, read_traffic
from txwatch.stores.influx.transactions import Writer

COUNTED = {
    "transactions": (TRANSACTIONS, "transactions", "sequence"),
    "anomalies": (CASES, "anomalies", "level"),
    "series": (METRICS, "series", "value"),
    "quarantine": (QUARANTINE, "quarantine", "sequence"),
}
"""Kind of record -> bucket, measurement, a field that every point of it has."""


class InfluxStore:
    """Everything that has a time, in InfluxDB 2.

    Reads and writes are retried with growing, random waits as long as `access` says; then StoreBusyError
    is raised, and the same call may be repeated without losing or doubling anything.  `pseudonym` makes
    what operators see of personal ids; without it nothing is written for operators.
    """

    def __init__(
        self,
        access: Access,
        clock: Clock,
        *,
        pseudonym: Pseudonym | None = None,
        buckets: Collection[str] = STORE_BUCKETS,
    ) -> None:
        """Connect and make sure that `buckets` are there and may be read; raises StoreError if not."""
        self._connection = Connection(access, clock)
        self._clock = clock
        self._pseudonym = pseudonym
        self._require(buckets)
        self._buckets = frozenset(buckets)
        kept = self._kept(TRANSACTIONS) if TRANSACTIONS in buckets else timedelta(0)
        self._writer = Writer(self._connection, clock, kept)

    def append(self, rows: pl.DataFrame) -> None:
        """Write rows; raises RowsRefusedError for those that InfluxDB never takes, the others are stored."""
        if not rows.is_empty():
            self._writer.append(rows)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Know nothing about partitions that another process takes over, or that came back from one."""
        self._writer.forget(partitions)

    def feed(self, after: Mapping[Partition, Cursor], limit: int) -> pl.DataFrame:
        """Return at most `limit` rows beyond the cursors, by (arrival, sequence)."""
        return read_feed(self._connection, after, limit)

    def transactions(self, query: TransactionQuery) -> pl.DataFrame:
        """Return the matching rows in event-time order."""
        return read_transactions(self._connection, query)

    def put_anomalies(self, anomalies: Sequence[Anomaly]) -> None:
        """Write durably; writing one again is a regrade."""
        put_anomalies(self._connection, anomalies, self._pseudonym, self._clock.now())

    def put_context(self, anomaly: Anomaly, rows: pl.DataFrame) -> None:
        """Write what surrounds an anomaly; repeating it changes nothing."""
        put_context(self._connection, anomaly, rows, self._pseudonym)

    def put_change(self, kind: str, version: str, sentence: str, at: datetime) -> None:
        """Write that a version is in use from `at` on."""
        put_change(self._connection, kind, version, sentence, at)

    def put_audit(self, records: Sequence[AuditRecord]) -> None:
        """Write copies of the ledger's audit."""
        put_audit(self._connection, records)

    def put_copies(self, copies: Sequence[Copy]) -> None:
        """Write copies of other records of the ledger."""
        put_copies(self._connection, copies)

    def versions_in_use(self) -> dict[str, str]:
        """Return the newest version of each kind."""
        return versions_in_use(self._connection)

    def anomalies(self, query: AnomalyQuery) -> list[Anomaly]:
        """Return the matching anomalies, newest event time first."""
        return read_anomalies(self._connection, query)

    def put_series(self, points: Sequence[SeriesPoint]) -> None:
        """Write durably; writing a window again replaces it."""
        put_series(self._connection, points)

    def series(self, query: SeriesQuery) -> list[SeriesPoint]:
        """Return the matching windows, oldest first."""
        return read_series(self._connection, query)

    def put_traffic(self, points: Sequence[TrafficPoint]) -> None:
        """Write durably, except windows that reach less far than the stored ones, or are too old to keep."""
        put_traffic(self._connection, points, self._clock.now())

    def traffic(self, query: TrafficQuery) -> list[TrafficPoint]:
        """Return the matching windows, oldest first."""
        return read_traffic(self._connection, query)

    def put_health(self, points: Sequence[HealthPoint]) -> None:
        """Write what services say of themselves."""
        put_health(self._connection, points)

    def put_coverage(self, windows: Counted) -> None:
        """See `ports.CoverageStore`."""
        put_coverage(self._connection, windows)

    def sizes(self) -> dict[str, int]:
        """Return the bytes on disk of each bucket."""
        return read_sizes(self._connection)

    def put_by_user(self, rows: pl.DataFrame) -> None:
        """Write rows (columns FEED) where a user's are found quickly."""
        put_by_user(self._connection, rows)

    def put_merchant_hours(self, hours: pl.DataFrame) -> None:
        """Write hours of merchants; writing one again replaces it."""
        put_merchant_hours(self._connection, hours)

    def merchant_hours(self, partition: Partition, start: datetime) -> pl.DataFrame:
        """Return what is stored of one partition and hour."""
        return read_merchant_hours(self._connection, partition, start)

    def quarantine(self, records: Sequence[Quarantined]) -> None:
        """Write durably; a record already there stays as it is."""
        put_quarantined(self._connection, records)

    def drop(self, records: Sequence[Quarantined]) -> None:
        """Delete records, one by one; repeat the call if it raised."""
        drop_quarantined(self._connection, records)

    def quarantined(self, *, code: str | None = None, limit: int | None = 100) -> list[Quarantined]:
        """Return records, newest first."""
        return read_quarantined(self._connection, code, limit)

    def counts(self) -> dict[str, int]:
        """Return how many records of each kind are stored, of those kinds that this store was opened for."""
        readable = [kind for kind, (bucket, _, _) in COUNTED.items() if bucket in self._buckets]
        return {kind: self._count(kind) for kind in readable}

    def expire(self, policy: RetentionPolicy, now: datetime) -> dict[str, int]:
        """Delete what is older than the policy allows; returns how many records of each kind went.

        InfluxDB drops whole shards by the buckets' own retention; this is for a shorter one.
        """
        limits = {kind: now - getattr(policy, kind) for kind in COUNTED}
        gone = {kind: self._count(kind, before=limit) for kind, limit in limits.items()}
        for kind, limit in limits.items():
            bucket, measurement, _ = COUNTED[kind]
            self._connection.delete(bucket, measurement, limit)
        self._connection.delete(FEED, FEED, now - policy.feed)
        self._connection.delete(TRANSACTIONS, BY_USER, now - policy.transactions)
        self._connection.delete(METRICS, MERCHANTS, now - policy.series)
        for bucket in COUNTED_TRAFFIC:
            self._connection.delete(bucket, MEASUREMENT, now - retentions(policy)[bucket])
        if self._pseudonym:
            self._connection.delete(ANOMALIES, "anomalies", limits["anomalies"])
        return gone

    def close(self) -> None:
        """Give back connections and threads; safe to call twice."""
        self._writer.close()
        self._connection.close()

    def _count(self, kind: str, before: datetime | None = None) -> int:
        bucket, measurement, field = COUNTED[kind]
        select = f'SELECT count({field}) FROM "{measurement}"{where(between(None, before))}'  # noqa: S608 - InfluxQL, no outside text
        (result,) = self._connection.results(bucket, select)
        return sum(int(series["values"][0][1]) for series in result.get("series", ()))

    def _require(self, buckets: Collection[str]) -> None:
        """Refuse to start without a bucket: InfluxDB answers a read of a missing one with nothing."""
        (result,) = self._connection.results(METRICS, "SHOW DATABASES")
        visible = {name for series in result.get("series", ()) for (name,) in series.get("values", ())}
        missing = [name for name in buckets if name not in visible]
        if missing:
            raise StoreError(
                f"bucket(s) {', '.join(missing)} are missing or closed to this token; run `txwatch init`"
            )

    def _kept(self, bucket: str) -> timedelta:
        (result,) = self._connection.results(bucket, f'SHOW RETENTION POLICIES ON "{bucket}"')
        (series,) = result["series"]
        return duration(series["values"][0][series["columns"].index("duration")])


def duration(go: str) -> timedelta:
    """Return a duration as Go writes it (720h0m0s); raises ValueError for another text."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", go)
    if found is None:
        raise ValueError(f"{go!r} is not a duration")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
