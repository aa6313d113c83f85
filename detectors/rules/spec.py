"""The sections `version`, `base_currency`, `features`, `lists`, `rules` of `rules.yaml`, as written.

These structs are the one description of their shape: the loader checks against them and the JSON Schema
for editors is made from them.
"""

from typing import Annotated, Any, Literal

import msgspec

ENTITY_COLUMNS = ("user_id", "merchant_id", "card_id", "device_id", "ip", "country", "channel")
EntityColumn = Literal["user_id", "merchant_id", "card_id", "device_id", "ip", "country", "channel"]

Hours = msgspec.Meta(
    pattern="^([01]?[0-9]|2[0-3])-([01]?[0-9]|2[0-4])$", description="a range of hours such as 22-6"
)

Example = dict[str, Any] | list[dict[str, Any]]
"""One transaction, or a story of several of which the last one is meant."""

Name = Annotated[
    str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,62}$", description="a name of small letters, digits and _")
]


class FeatureSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value over a sliding window, one for each entity: exactly one of count .. time_since."""

    by: EntityColumn | Annotated[list[EntityColumn], msgspec.Meta(min_length=2, max_length=2)]
    """Whose window: one id column, or a pair of them."""
    window: str
    """10s to 30d: a number and s, m, h or d."""
    count: str | None = None
    """How many transactions for which this condition holds; * for all."""
    sum: str | None = None
    """The sum of this number; 0 when nothing counts."""
    mean: str | None = None
    """The mean of this number; null when nothing counts."""
    max: str | None = None
    """The largest of this number; null when nothing counts."""
    distinct: str | None = None
    """How many different values of this text column; exact up to 32, which larger counts show as."""
    time_since: str | None = None
    """Seconds since the latest earlier transaction for which this condition holds; null when none."""
    where: str | None = None
    """A condition on the transactions that count."""
    description: str | None = None


class ListFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list kept in a file of its own: one value a line; # starts a comment."""

    file: str


class RuleSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule: when it holds for a transaction, that transaction is an anomaly of at least this severity."""

    id: Annotated[
        str,
        msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,62}$", description="an id of small letters, digits and -"),
    ]
    when: str
    """The condition; null is no hit."""
    severity: Literal["low", "medium", "high", "critical"]
    description: str | None = None
    type: Literal["amount", "frequency", "velocity", "place", "time", "pattern", "rule"] = "rule"
    """What about the behaviour is strange."""
    entity: Literal["user", "merchant", "card", "device", "ip", "country", "channel"] = "user"
    """Who behaves strangely."""
    mode: Literal["live", "shadow", "off"] = "live"
    """shadow: counted, never alerted; off: checked, not evaluated."""
    message: str | None = None
    """What a person reads; {column} is filled in, {column:.1f} with one decimal."""
    observed: str | None = None
    """The column whose value was strange."""
    expected: str | None = None
    """The column that says what was usual."""
    min_baseline: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The least user_count (merchant_count for entity: merchant) for the rule to speak at all."""
    hours: Annotated[str, Hours] | None = None
    """Only within these hours of the day, UTC, the first included, the last not: 22-6."""
    tags: list[str] = []
    hits: list[Example] = []
    """Examples for which the rule has to hold."""
    misses: list[Example] = []
    """Examples for which it must not."""


Features = dict[Name, FeatureSpec]
Lists = dict[Name, list[str] | ListFile]
Rules = list[RuleSpec]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$", description="a currency code such as EUR")]
