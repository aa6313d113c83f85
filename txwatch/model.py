"""The words of the product as values: frozen, keyword-only, with aware times.

See `docs/GLOSSARY.md` for what each word means.
"""

import hashlib
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any, Literal, NamedTuple

import msgspec


class Status(StrEnum):
    """What became of a transaction."""

    APPROVED = "approved"
    DECLINED = "declined"
    REVERSED = "reversed"


class Severity(IntEnum):
    """How urgently a person should look: low < medium < high < critical."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The lower-case word used in files, messages and stores."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> "Severity":
        """Return the severity named `word` in any case; raises ValueError for another word."""
        try:
            return cls[word.upper()]
        except KeyError:
            raise ValueError(f"severity is one of low, medium, high, critical, not {word!r}") from None


class AnomalyType(StrEnum):
    """What about the behaviour is strange."""

    AMOUNT = "amount"
    FREQUENCY = "frequency"
    VELOCITY = "velocity"
    PLACE = "place"
    TIME = "time"
    PATTERN = "pattern"
    RULE = "rule"
    SERIES = "series"
    CONFIGURATION = "configuration"
    DRIFT = "drift"


class Mode(StrEnum):
    """live: may alert.  shadow: scored and stored, never alerted.  canary: sent by ourselves."""

    LIVE = "live"
    SHADOW = "shadow"
    CANARY = "canary"


class AnomalyState(StrEnum):
    """found: it stands.  withdrawn: late data showed that it was none; it counts nowhere."""

    FOUND = "found"
    WITHDRAWN = "withdrawn"


class Verdict(StrEnum):
    """What a person says that an anomaly was."""

    FRAUD = "fraud"
    FALSE_POSITIVE = "false-positive"
    UNCLEAR = "unclear"


class Partition(NamedTuple):
    """One ordered stream of messages: a topic and epoch (or file, or listener) and its partition."""

    source: str
    partition: int


class Cursor(NamedTuple):
    """How far a reader has come in one partition of the feed.

    `arrival` is in nanoseconds since 1970 UTC; a sequence at or below `sequence` is a redelivery.
    """

    arrival: int
    sequence: int


def _refuse_naive(name: str, value: datetime | None) -> None:
    if value is not None and value.tzinfo is None:
        raise ValueError(f"{name} has no time zone; every time in txwatch is aware")


class Transaction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One payment attempt, valid by the schema.  `timestamp` is aware UTC, to the millisecond."""

    transaction_id: str
    timestamp: datetime
    user_id: str
    merchant_id: str
    amount: float
    currency: str
    status: Status = Status.APPROVED
    channel: str | None = None
    country: str | None = None
    lat: float | None = None
    lon: float | None = None
    device_id: str | None = None
    ip: str | None = None
    card_id: str | None = None
    merchant_category: str | None = None
    extra: str | None = None
    """Every other field of the message, as one bounded JSON object."""

    def __post_init__(self) -> None:
        """Refuse a naive time."""
        _refuse_naive("timestamp", self.timestamp)


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A message that did not become a transaction, with the reason and the message itself.

    `code` is a stable word (`missing_field`, `not_json`, ...), `field` the producer's or our field
    name where one is to blame, `sentence` what a person reads.  `raw` is at most the first 64 KiB;
    `length` and `sha256` describe the whole message.
    """

    code: str
    sentence: str
    field: str | None = None
    raw: bytes = b""
    length: int = 0
    sha256: str = ""


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A rejected message at its place in its source: what the quarantine keeps."""

    source: str
    partition: int
    sequence: int
    received_at: datetime
    rejected: Rejected

    def __post_init__(self) -> None:
        """Refuse a naive time."""
        _refuse_naive("received_at", self.received_at)


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One hypothesis or rule that speaks for an anomaly, in a sentence with the numbers in it.

    `contribution` is in percent of the anomaly's evidence; `baseline_size` counts the observations
    behind `expected`; `baseline_level` is entity, segment, population or none.
    """

    code: str
    sentence: str
    detector: str
    type: AnomalyType
    entity_kind: str
    contribution: float = 0.0
    observed: float | None = None
    expected: float | None = None
    baseline_size: int | None = None
    baseline_level: str | None = None
    facts: dict[str, Any] = {}


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """Something that behaves unlike its own past: one per transaction, or per (series, window).

    `anomaly_id` is a function of what it is about, so finding it again is a regrade, not a second one.  Of
    two gradings the one of the higher `revision` holds, of one revision the more severe.  What is withdrawn
    keeps the severity that it had.
    `timestamp` is event time; `detected_at` and `arrived_at` are wall-clock times.  `reasons` are
    ordered by contribution; the first names the entity (`entity_kind`, `entity_id`) and the `type`.
    """

    anomaly_id: str
    kind: str
    """transaction | series | configuration | drift"""
    type: AnomalyType
    timestamp: datetime
    detected_at: datetime
    arrived_at: datetime | None = None
    severity: Severity
    score: float
    """0 to 100; higher is stranger."""
    reasons: tuple[Reason, ...]
    entity_kind: str
    entity_id: str
    mode: Mode = Mode.LIVE
    late: bool = False
    """Found, or judged otherwise, by what came late."""
    state: AnomalyState = AnomalyState.FOUND
    revision: int = 0
    """How often late data changed its grading."""
    before: Severity | None = None
    """Its severity before this revision."""
    source: str = ""
    partition: int = 0
    sequence: int = 0
    """Of the transaction; for a series its registered number."""
    transaction_id: str | None = None
    user_id: str | None = None
    merchant_id: str | None = None
    amount: float | None = None
    currency: str | None = None
    status: Status | None = None
    channel: str | None = None
    country: str | None = None
    card_id: str | None = None
    series: str | None = None
    window_end: datetime | None = None
    rules: tuple[str, ...] = ()
    """Ids of the rules that hit."""
    detectors: dict[str, float] = {}
    """Each detector's own evidence, in log odds."""
    versions: dict[str, str] = {}
    """What made it: code, rules, models."""

    def __post_init__(self) -> None:
        """Refuse naive times."""
        for name in ("timestamp", "detected_at", "arrived_at", "window_end"):
            _refuse_naive(name, getattr(self, name))

    @property
    def level(self) -> int:
        """Its severity as a number by which stores find and count it; 0 once it is withdrawn."""
        return int(self.severity) if self.state is AnomalyState.FOUND else 0

    @property
    def standing(self) -> str:
        """How it stands, in one word: its severity, or that it is withdrawn."""
        return self.severity.word if self.state is AnomalyState.FOUND else self.state.value

    @property
    def grading(self) -> tuple[int, int]:
        """What grows whenever it is graded otherwise, so that of two the newer one is known."""
        return self.revision, int(self.severity)


class AnomalyLabel(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says of an anomaly."""

    anomaly_id: str
    transaction_id: str | None
    """None for an anomaly of a series."""
    verdict: Verdict
    by: str
    at: float = 0.0
    """Seconds since 1970 UTC; the ledger's clock says when."""


class LabelChange(msgspec.Struct, frozen=True, kw_only=True):
    """A label as it was given, with the one that was in force before."""

    number: int
    """Given by the ledger, from 1."""
    label: AnomalyLabel
    before: Verdict | None


class AnomalyNote(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks into an anomaly from now on, or what somebody wrote about it."""

    anomaly_id: str
    kind: Literal["assigned", "comment"]
    text: str
    """A person, nobody where it is empty; or the comment."""
    by: str
    at: float = 0.0
    """Seconds since 1970 UTC; the ledger's clock says when."""


class RulesVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One content of `rules.yaml` as it came into force.

    `version` is a hash of everything in it that detects: comments and the alert policy make no other one.
    """

    version: str
    content: bytes
    beside: dict[str, bytes] = {}
    """The list files that it names, by the name that stands there."""
    actor: str
    reason: str
    number: int = 0
    """Given by the ledger, from 1."""
    at: float = 0.0
    """Seconds since 1970 UTC; the ledger's clock says when."""


class RulesProposal(msgspec.Struct, frozen=True, kw_only=True):
    """A content of `rules.yaml` that comes into force if somebody else than its author approves it."""

    number: int
    at: float
    """Seconds since 1970 UTC."""
    wanted: RulesVersion
    base: int
    """The number in force that it changes."""
    decision: Literal["", "approved", "rejected"] = ""
    decided_by: str = ""


def transaction_anomaly_id(source: str, partition: int, sequence: int) -> str:
    """Return the id of the one anomaly that this message can have."""
    return _short_id(f"t\0{source}\0{partition}\0{sequence}")


def series_anomaly_id(series: str, window_start: datetime) -> str:
    """Return the id of the one anomaly that this series can have in this window."""
    _refuse_naive("window_start", window_start)
    return _short_id(f"s\0{series}\0{window_start.astimezone(UTC).isoformat()}")


def drift_anomaly_id(figure: str, window_start: datetime) -> str:
    """Return the id of the one anomaly that this figure of the detection can have in this window."""
    _refuse_naive("window_start", window_start)
    return _short_id(f"d\0{figure}\0{window_start.astimezone(UTC).isoformat()}")


def configuration_anomaly_id(what: str) -> str:
    """Return the id of the one anomaly about this fault of the configuration."""
    return _short_id(f"c\0{what}")


def _short_id(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
