"""Named stand-ins, shipped so that users test their own sources and detectors with them.

`MemoryStore` keeps to every promise of `txwatch.ports.Store` except that its memory ends with the process;
it passes the same contract tests as the real ones.  `ManualClock` is advanced by hand; `AtOnce` and
`WhenTold` are executors without threads.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import polars as pl

from txwatch.columns import FEED, MERCHANT_HOUR, POSITION
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

T = TypeVar("T")


class ManualClock:
    """Stands still until `advance` or `sleep` moves it."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move on, or back."""
        self._now += by

    def sleep(self, seconds: float) -> None:
        """Move on at once instead of waiting."""
        self._now += timedelta(seconds=seconds)


class AtOnce(Executor):
    """Does what is asked of it before it answers, in the same thread."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Return what is done already."""
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            done.set_exception(error)
        return done


class WhenTold(Executor):
    """Does what is asked of it when it is told to, in the same thread."""

    def __init__(self) -> None:
        self._asked: list[Callable[[], None]] = []

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Return what is done by the next `work`."""
        done: Future[T] = Future()

        def do() -> None:
            try:
                done.set_result(fn(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - raised where the result is asked for
                done.set_exception(error)

        self._asked.append(do)
        return done

    def work(self) -> None:
        """Do what was asked so far."""
        asked, self._asked = self._asked, []
        for do in asked:
            do()


class MemoryStore:
    """Everything in plain tables and dictionaries; nothing is fast, everything is obvious."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows = pl.DataFrame(schema=FEED)
        self._arrival = 0
        self._last: dict[Partition, int] = {}
        self._anomalies: dict[str, Anomaly] = {}
        self._series: dict[tuple[str, datetime], SeriesPoint] = {}
        self._quarantine: dict[tuple[str, int, int], Quarantined] = {}
        self._traffic: dict[tuple[object, ...], TrafficPoint] = {}

    def append(self, rows: pl.DataFrame) -> None:
        """See `ports.TransactionStore.append`."""
        first = max(int(self._clock.now().timestamp() * 1e9), self._arrival + 1)
        self._arrival = first + rows.height
        numbered = rows.with_columns(arrival=first + pl.int_range(pl.len(), dtype=pl.Int64))
        fresh = [self._is_fresh(*key) for key in rows.select("source", "partition", "sequence").iter_rows()]
        self._rows = pl.concat([self._rows, numbered.filter(fresh).select(list(FEED))])

    def _is_fresh(self, source: str, partition: int, sequence: int) -> bool:
        place = Partition(source, partition)
        if place in self._last and sequence <= self._last[place]:
            return False
        self._last[place] = sequence
        return True

    def feed(self, after: Mapping[Partition, Cursor], limit: int) -> pl.DataFrame:
        """See `ports.TransactionStore.feed`."""
        keys = self._rows.select("source", "partition", "sequence").iter_rows()
        beyond = [
            (cursor := after.get(Partition(source, partition))) is None or sequence > cursor.sequence
            for source, partition, sequence in keys
        ]
        return self._rows.filter(pl.Series(beyond, dtype=pl.Boolean)).sort("arrival").head(limit)

    def transactions(self, query: TransactionQuery) -> pl.DataFrame:
        """See `ports.TransactionStore.transactions`."""
        rows = self._rows.sort("timestamp", "arrival")
        for name in ("user_id", "merchant_id", "transaction_id"):
            if (value := getattr(query, name)) is not None:
                rows = rows.filter(pl.col(name) == value)
        if query.since is not None:
            rows = rows.filter(pl.col("timestamp") >= query.since)
        if query.until is not None:
            rows = rows.filter(pl.col("timestamp") < query.until)
        return rows if query.limit is None else rows.tail(query.limit)

    def put_anomalies(self, found: Sequence[Anomaly]) -> None:
        """See `ports.AnomalyStore.put_anomalies`."""
        self._anomalies |= {anomaly.anomaly_id: anomaly for anomaly in found}

    def anomalies(self, query: AnomalyQuery) -> list[Anomaly]:
        """See `ports.AnomalyStore.anomalies`."""
        found = [anomaly for anomaly in self._anomalies.values() if _matches(anomaly, query)]
        found.sort(key=lambda anomaly: anomaly.anomaly_id)
        found.sort(key=lambda anomaly: anomaly.timestamp, reverse=True)
        return found[: query.limit]

    def put_series(self, points: Sequence[SeriesPoint]) -> None:
        """See `ports.SeriesStore.put_series`."""
        self._series |= {(point.series, point.start): point for point in points}

    def series(self, query: SeriesQuery) -> list[SeriesPoint]:
        """See `ports.SeriesStore.series`."""
        found = [
            point
            for point in self._series.values()
            if query.series in {None, point.series} and _within(point.start, query.since, query.until)
        ]
        return sorted(found, key=lambda point: (point.start, point.series))

    def put_traffic(self, points: Sequence[TrafficPoint]) -> None:
        """See `ports.TrafficStore.put_traffic`."""
        for point in points:
            known = self._traffic.get(_place(point))
            if known is None or known.through <= point.through:
                self._traffic[_place(point)] = point

    def traffic(self, query: TrafficQuery) -> list[TrafficPoint]:
        """See `ports.TrafficStore.traffic`."""
        names = ("seconds", "source", "partition", "dimension", "value")
        found = [
            point
            for point in self._traffic.values()
            if _within(point.start, query.since, query.until)
            and all(getattr(query, name) in {None, getattr(point, name)} for name in names)
        ]
        return sorted(found, key=_place)

    def quarantine(self, records: Sequence[Quarantined]) -> None:
        """See `ports.QuarantineStore.quarantine`."""
        for record in records:
            self._quarantine.setdefault((record.source, record.partition, record.sequence), record)

    def drop(self, records: Sequence[Quarantined]) -> None:
        """See `ports.QuarantineStore.drop`."""
        for record in records:
            self._quarantine.pop((record.source, record.partition, record.sequence), None)

    def quarantined(self, *, code: str | None = None, limit: int | None = 100) -> list[Quarantined]:
        """See `ports.QuarantineStore.quarantined`."""
        found = [r for r in self._quarantine.values() if code in {None, r.rejected.code}]
        return sorted(found, key=lambda r: (r.received_at, r.sequence), reverse=True)[:limit]

    def counts(self) -> dict[str, int]:
        """See `ports.Store.counts`."""
        return {
            "transactions": self._rows.height,
            "anomalies": len(self._anomalies),
            "series": len(self._series),
            "quarantine": len(self._quarantine),
        }

    def expire(self, policy: RetentionPolicy, now: datetime) -> dict[str, int]:
        """See `ports.Store.expire`."""
        before = self.counts()
        self._rows = self._rows.filter(pl.col("timestamp") >= now - policy.transactions)
        self._anomalies = {k: a for k, a in self._anomalies.items() if a.timestamp >= now - policy.anomalies}
        self._series = {k: p for k, p in self._series.items() if p.start >= now - policy.series}
        self._traffic = {k: p for k, p in self._traffic.items() if p.start >= now - policy.series}
        self._quarantine = {
            k: r for k, r in self._quarantine.items() if r.received_at >= now - policy.quarantine
        }
        return {kind: before[kind] - left for kind, left in self.counts().items()}

    def close(self) -> None:
        """Nothing to give back."""


class MemoryEntities:
    """What `ports.EntityStore` asks for, in two dictionaries."""

    def __init__(self) -> None:
        self.users: dict[tuple[str, int, int], str] = {}
        self._hours: dict[tuple[str, int, datetime, str], tuple[object, ...]] = {}

    def put_by_user(self, rows: pl.DataFrame) -> None:
        """See `ports.EntityStore.put_by_user`."""
        for source, partition, sequence, user in rows.select(*POSITION, "user_id").iter_rows():
            self.users[source, partition, sequence] = user

    def put_merchant_hours(self, hours: pl.DataFrame) -> None:
        """See `ports.EntityStore.put_merchant_hours`."""
        for row in hours.select(list(MERCHANT_HOUR)).iter_rows():
            self._hours[row[0], row[1], row[2], row[3]] = row

    def merchant_hours(self, partition: Partition, start: datetime) -> pl.DataFrame:
        """See `ports.EntityStore.merchant_hours`."""
        found = [row for key, row in self._hours.items() if key[:3] == (*partition, start)]
        return pl.DataFrame(found, schema=MERCHANT_HOUR, orient="row")


def _matches(anomaly: Anomaly, query: AnomalyQuery) -> bool:
    exact = ("anomaly_id", "user_id", "merchant_id", "transaction_id", "series", "mode")
    types = {anomaly.type.value, *(reason.type.value for reason in anomaly.reasons)}
    return (
        all(getattr(query, name) in {None, getattr(anomaly, name)} for name in exact)
        and anomaly.mode is not query.without_mode
        and _within(anomaly.timestamp, query.since, query.until)
        and anomaly.level >= query.least_level
        and (query.type is None or query.type in types)
        and (query.rule is None or query.rule in anomaly.rules)
    )


def _place(p: TrafficPoint) -> tuple[datetime, int, str, int, str, str]:
    return (p.start, p.seconds, p.source, p.partition, p.dimension, p.value)


def _within(time: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or since <= time) and (until is None or time < until)
