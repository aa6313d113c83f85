"""Which anomalies a route or a silence is about: conditions that must all hold."""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from alerts.calendar import Times, within
from txwatch.model import Anomaly, Severity

Word = Literal["low", "medium", "high", "critical"]
Duration = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]{1,6}[smhd]$", description="a duration such as 30s, 5m, 4h or 1d")
]
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(duration: str) -> float:
    """Return a duration such as 30s, 5m, 4h, 1d in seconds."""
    return float(duration[:-1]) * _UNITS[duration[-1]]


def duration(length: float) -> str:
    """Return seconds as people write them: 30s, 5m, 4h, 1d."""
    fitting = (name for name in reversed(_UNITS) if length % _UNITS[name] == 0)
    unit = next(fitting, "s") if length else "s"
    return f"{length / _UNITS[unit]:g}{unit}"


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions on an anomaly; a list holds if it has the anomaly's value; an empty one always does."""

    min_severity: Word = "low"
    severity: tuple[Word, ...] = ()
    type: tuple[str, ...] = ()
    detector: tuple[str, ...] = ()
    """Of any reason."""
    rule: tuple[str, ...] = ()
    """Id of any rule that hit."""
    entity_kind: tuple[str, ...] = ()
    entity: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    merchant: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    """Of any rule that hit."""
    min_amount: float | None = None
    max_amount: float | None = None
    times: Times | None = None
    """When the transaction, or the window, was."""


def mismatch(match: Match, anomaly: Anomaly) -> str:
    """Return the first condition that does not hold, in words; empty when all hold."""
    if anomaly.severity < Severity.parse(match.min_severity):
        return f"severity {anomaly.severity.word} is below {match.min_severity}"
    if match.min_amount is not None and (anomaly.amount is None or anomaly.amount < match.min_amount):
        return f"amount {anomaly.amount} is below {match.min_amount:g}"
    if match.max_amount is not None and (anomaly.amount is None or anomaly.amount > match.max_amount):
        return f"amount {anomaly.amount} is above {match.max_amount:g}"
    if match.times is not None and not within(match.times, anomaly.timestamp):
        return f"{anomaly.timestamp:%Y-%m-%d %H:%M %Z} is outside {_said(match.times)}"
    for name, wanted, found in _lists(match, anomaly):
        if wanted and not any(value in wanted for value in found):
            return f"{name} {', '.join(map(str, found)) or 'none'} is not {' or '.join(wanted)}"
    return ""


def _lists(match: Match, anomaly: Anomaly) -> tuple[tuple[str, tuple[str, ...], tuple[str | None, ...]], ...]:
    return (
        ("severity", match.severity, (anomaly.severity.word,)),
        ("type", match.type, (anomaly.type.value,)),
        ("detector", match.detector, tuple(reason.detector for reason in anomaly.reasons)),
        ("rule", match.rule, anomaly.rules),
        ("tag", match.tag, tuple(_tags(anomaly)) if match.tag else ()),
        ("entity kind", match.entity_kind, (anomaly.entity_kind,)),
        ("entity", match.entity, (anomaly.entity_id,)),
        ("user", match.user, (anomaly.user_id,)),
        ("merchant", match.merchant, (anomaly.merchant_id,)),
        ("channel", match.channel, (anomaly.channel,)),
        ("country", match.country, (anomaly.country,)),
    )


def _tags(anomaly: Anomaly) -> Iterator[str]:
    for reason in anomaly.reasons:
        yield from reason.facts.get("tags", ())


def _said(times: Times) -> str:
    return f"{' '.join(times.days) or 'every day'} {times.since}-{times.until} {times.zone}"
