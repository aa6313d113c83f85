"""The interfaces between the rooms and the world: small protocols, each with two implementations.

The stores (SQLite, in memory for tests, InfluxDB later) implement `Store`; every guarantee below is
held by the contract tests in `tests/contract/test_store.py`, which every implementation passes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import msgspec
import polars as pl

from txwatch.coverage import Counted
from txwatch.model import Anomaly, Cursor, Mode, Partition, Quarantined, Severity


class Clock(Protocol):
    """Where wall-clock time comes from; passed in, so that tests advance it by hand."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait; may return early when the process is asked to stop."""


class TransactionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which transactions: half-open in event time [since, until), newest first when `limit` cuts."""

    since: datetime | None = None
    until: datetime | None = None
    user_id: str | None = None
    merchant_id: str | None = None
    transaction_id: str | None = None
    limit: int | None = None


class AnomalyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which anomalies: half-open in event time [since, until), newest first.

    `type` and `rule` match any reason's type, any rule that hit; `user_id`, `merchant_id`,
    `transaction_id` are exact.  Canaries are found by their mode or their id alone, withdrawn anomalies by
    their id or `withdrawn`, and then among the others.
    """

    anomaly_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    min_severity: Severity = Severity.LOW
    type: str | None = None
    rule: str | None = None
    user_id: str | None = None
    merchant_id: str | None = None
    transaction_id: str | None = None
    series: str | None = None
    mode: Mode | None = None
    withdrawn: bool = False
    limit: int | None = 100

    @property
    def least_level(self) -> int:
        """The lowest level (`Anomaly.level`) that matches."""
        with_withdrawn = self.withdrawn or self.anomaly_id is not None
        return 0 if with_withdrawn and self.min_severity is Severity.LOW else int(self.min_severity)

    @property
    def without_mode(self) -> Mode | None:
        """The mode that is left out, None where none is."""
        return Mode.CANARY if self.mode is None and self.anomaly_id is None else None


class SeriesPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One window of one series: what was seen, what was expected.

    `start` is the window's start in event time (windows are half-open); `expected`, `low`, `high` and
    `score` are None while the baseline warms up.
    """

    series: str
    start: datetime
    seconds: int
    value: float
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    score: float | None = None


class SeriesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which windows: half-open [since, until) by window start, oldest first."""

    series: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class TrafficPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What one partition contributed to one window of traffic, as absolute values.

    The transactions of `partition` whose event time lies in [start, start + seconds) and whose
    `dimension` (all, channel, country, status, merchant) has this `value`.  Everything but the estimates
    adds up over partitions: counts, totals, and the two sketches (`collector.metrics.merging`).
    """

    source: str
    partition: int
    seconds: int
    start: datetime
    dimension: str
    value: str
    through: int
    """The sequence of the last transaction counted: those up to it are in here, later ones are not."""
    count: int
    declined: int
    total: float
    """Sum of approved amounts, in the base currency."""
    lag_total: float
    """Seconds from event time to arrival, summed."""
    lag_max: float
    users: int
    """Distinct users, estimated."""
    p50: float | None
    """Median amount, estimated; None while no amount is known in the base currency."""
    p95: float | None
    user_sketch: bytes
    amount_sketch: bytes


class TrafficQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which windows of traffic: half-open [since, until) by window start, oldest first."""

    since: datetime | None = None
    until: datetime | None = None
    seconds: int | None = None
    source: str | None = None
    partition: int | None = None
    dimension: str | None = None
    value: str | None = None


class RetentionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long each kind of record is kept, by event time (transactions, series, anomalies) or arrival.

    InfluxDB keeps windows of traffic by their length (`traffic_10s` and so on), the embedded store keeps
    all of them as long as those of series.
    """

    transactions: timedelta = timedelta(days=30)
    feed: timedelta = timedelta(days=7)
    series: timedelta = timedelta(days=400)
    anomalies: timedelta = timedelta(days=400)
    quarantine: timedelta = timedelta(days=30)
    traffic_10s: timedelta = timedelta(days=7)
    traffic_1m: timedelta = timedelta(days=35)
    traffic_1h: timedelta = timedelta(days=400)
    traffic_1d: timedelta = timedelta(days=3653)


class TransactionStore(Protocol):
    """Transactions, and the feed in which detectors read them by arrival.

    Identity: (source, partition, sequence).  Writing the same message again changes nothing that a
    reader of the feed has passed; two different messages are never one record, whatever their times.
    """

    def append(self, rows: pl.DataFrame) -> None:
        """Write rows (columns POSITION + TRANSACTION) durably, giving each a strictly growing arrival.

        Rows of one partition must come in growing sequence.  All rows or none are written; raises
        `StoreError` (retryable or not) and then nothing is lost by calling again.
        """

    def feed(self, after: Mapping[Partition, Cursor], limit: int) -> pl.DataFrame:
        """Return at most `limit` rows (columns FEED) beyond the cursors, by (arrival, sequence).

        Partitions that `after` does not name are read from their start.  A row is returned once per
        cursor, however often it was delivered; none is skipped; a clock that steps back changes nothing.
        """

    def transactions(self, query: TransactionQuery) -> pl.DataFrame:
        """Return the matching rows (columns FEED) in event-time order."""


class AnomalyStore(Protocol):
    """Anomalies, one per `anomaly_id`: writing it again is a regrade and replaces it."""

    def put_anomalies(self, anomalies: Sequence[Anomaly]) -> None:
        """Write durably, all or none."""

    def anomalies(self, query: AnomalyQuery) -> list[Anomaly]:
        """Return the matching anomalies, newest event time first."""


class SeriesStore(Protocol):
    """Windows of series, one per (series, start): writing it again replaces it."""

    def put_series(self, points: Sequence[SeriesPoint]) -> None:
        """Write durably, all or none."""

    def series(self, query: SeriesQuery) -> list[SeriesPoint]:
        """Return the matching windows, oldest first."""


class TrafficStore(Protocol):
    """Windows of traffic, one per (source, partition, seconds, start, dimension, value)."""

    def put_traffic(self, points: Sequence[TrafficPoint]) -> None:
        """Write durably; a window replaces a known one unless that reaches further (`through`)."""

    def traffic(self, query: TrafficQuery) -> list[TrafficPoint]:
        """Return the matching windows by start, then seconds, source, partition, dimension, value."""


@runtime_checkable
class EntityStore(Protocol):
    """Transactions by user, and hours of merchants: for stores that cannot find one entity among all rows."""

    def put_by_user(self, rows: pl.DataFrame) -> None:
        """Write rows (columns FEED) where a user's are found quickly; repeating it changes nothing."""

    def put_merchant_hours(self, hours: pl.DataFrame) -> None:
        """Write hours (columns MERCHANT_HOUR) durably; one replaces its earlier writing."""

    def merchant_hours(self, partition: Partition, start: datetime) -> pl.DataFrame:
        """Return what is stored of one partition and hour (columns MERCHANT_HOUR)."""


class HealthPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What one service said of itself at one time, or the part of it that has these labels."""

    component: str
    at: datetime
    values: dict[str, float]
    """By figure; `state` is 0 for ok, 1 for degraded, 2 for failed."""
    labels: dict[str, str] = {}
    sentence: str = ""


@runtime_checkable
class HealthStore(Protocol):
    """What services say of themselves over time: for stores that dashboards read."""

    def put_health(self, points: Sequence[HealthPoint]) -> None:
        """Write durably."""


@runtime_checkable
class ContextStore(Protocol):
    """What surrounds an anomaly, for stores whose readers may not see all transactions."""

    def put_context(self, anomaly: Anomaly, rows: pl.DataFrame) -> None:
        """Write the transactions (columns FEED) around an anomaly; repeating it changes nothing."""


@runtime_checkable
class ChangeStore(Protocol):
    """From when on which version of rules and code detects, for the marks on dashboards."""

    def put_change(self, kind: str, version: str, sentence: str, at: datetime) -> None:
        """Write that a version is in use from `at` on."""

    def versions_in_use(self) -> dict[str, str]:
        """Return the newest version of each kind."""


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what: `at` in seconds since 1970 UTC, `facts` a JSON object, `hash` covers the one before."""

    number: int
    at: float
    actor: str
    action: str
    facts: str
    hash: str


@runtime_checkable
class AuditStore(Protocol):
    """Copies of the ledger's audit, for dashboards; the ledger's own is the one that counts."""

    def put_audit(self, records: Sequence[AuditRecord]) -> None:
        """Write durably; repeating it changes nothing."""


@runtime_checkable
class CoverageStore(Protocol):
    """Copies of what was looked at, for dashboards; the ledger's own is the one that counts."""

    def put_coverage(self, windows: Counted) -> None:
        """Write windows durably; one replaces its earlier writing."""


class QuarantineStore(Protocol):
    """Rejected messages, one per (source, partition, sequence)."""

    def quarantine(self, records: Sequence[Quarantined]) -> None:
        """Write durably, all or none; a record already there stays as it is."""

    def drop(self, records: Sequence[Quarantined]) -> None:
        """Delete these records durably; one that is not there is none the worse."""

    def quarantined(self, *, code: str | None = None, limit: int | None = 100) -> list[Quarantined]:
        """Return records, newest first."""


class Store(TransactionStore, AnomalyStore, SeriesStore, TrafficStore, QuarantineStore, Protocol):
    """Everything that has a time: implemented by SQLite (one file) and InfluxDB."""

    def counts(self) -> dict[str, int]:
        """Return how many transactions, anomalies, series and quarantine records are stored."""

    def expire(self, policy: RetentionPolicy, now: datetime) -> dict[str, int]:
        """Delete what is older than the policy allows; returns how many records of each kind went."""

    def close(self) -> None:
        """Give back files and locks; safe to call twice."""


class Discovery(Protocol):
    """One entry of the queue."""

    @property
    def number(self) -> int:
        """Its place in the order of discovery."""

    @property
    def document(self) -> bytes:
        """The anomaly as JSON."""


class DiscoveryQueue(Protocol):
    """The queue of what was found, as its readers need it: the ledger's, or a test's."""

    def discovered(self, after: int, limit: int) -> Sequence[Discovery]:
        """Return entries beyond `after`, in order of discovery."""

    def queue_position(self, name: str) -> int:
        """Return the number that `name` has handled last."""

    def advance(self, name: str, number: int) -> None:
        """Record durably that `name` has handled everything up to `number`."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What one step of a service did: how many records it handled, and whether more can ever come."""

    handled: int
    finished: bool = False
    waiting: bool = False
    """Nothing could be done just now, but something is there: a run to the end goes on."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One of several values of a figure, told apart by `labels`; named like those of `Health.figures`."""

    name: str
    value: float
    labels: dict[str, str] = {}


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a service is: `state` is ok, degraded or failed; the sentence says why, for people.

    `figures` become metrics: names in snake_case with their unit (`lag_seconds`); a figure that only
    ever grows ends in `_total`.  `labelled` has those of which there are several.
    """

    name: str
    state: str
    sentence: str
    figures: dict[str, float] = {}
    labelled: tuple[Figure, ...] = ()
    """All values of one name have labels of the same names."""


class Service(Protocol):
    """One room at work.  `txwatch.supervise` calls `step` in turn with the others until all finish."""

    name: str

    def step(self) -> Progress:
        """Do a bounded piece of work (well under a second) and return; never blocks when idle."""

    def health(self) -> Health:
        """Return how it is, from memory, at once."""

    def close(self) -> None:
        """Finish what was begun, persist, give back resources; safe to call twice."""
