"""What is said about a strange window: its kind, and one sentence with the numbers in it."""

import math
from collections.abc import Sequence
from datetime import datetime

import msgspec

from txwatch.model import AnomalyType, Reason

CODES = ("silence", "shift", "spike", "drop")
SILENT_SHARE = 0.05
LONG_MINUTES = 60.0
NOUNS = {"count": "transactions", "amount": "in approved payments", "declined": "declined transactions"}


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """The sum of windows that spoke loudest: what was seen from `start` to `end`, and what was due.

    `spread` is the standard deviation of what was due; `windows` how many windows the series has had; `note`
    what is told of the day, where it is a holiday.
    """

    metric: str
    kind: str
    entity: str
    start: datetime
    end: datetime
    seen: float
    due: float
    spread: float
    windows: int
    evidence: float
    note: str = ""

    @property
    def band(self) -> tuple[float, float]:
        """Three standard deviations either side, on the square-root scale, where counts are symmetric."""
        unit = max(self.spread**2 / self.due, 1e-12)
        root = math.sqrt(self.due / unit)
        return unit * max(root - 1.5, 0.0) ** 2, unit * (root + 1.5) ** 2


def code(found: Sum) -> str:
    """Return silence, drop, spike, or shift (either way, for sums over an hour or more)."""
    if found.seen <= SILENT_SHARE * found.due:
        return "silence"
    if (found.end - found.start).total_seconds() >= LONG_MINUTES * 60.0:
        return "shift"
    return "spike" if found.seen > found.due else "drop"


def reason(found: Sum) -> Reason:
    """Return the reason of an anomaly of a series."""
    low, high = found.band
    return Reason(
        code=code(found),
        sentence=sentence(found),
        detector="profile",
        type=AnomalyType.SERIES,
        entity_kind=found.kind,
        contribution=100.0,
        observed=found.seen,
        expected=found.due,
        baseline_size=found.windows,
        baseline_level="entity",
        facts={
            "metric": found.metric,
            "from": found.start.isoformat(),
            "to": found.end.isoformat(),
            "low": round(low, 3),
            "high": round(high, 3),
            "evidence": round(found.evidence, 3),
        },
    )


def reason_withdrawn(found: Sum, before: float, codes: Sequence[str]) -> Reason:
    """Return why an anomaly was none: what late data made of the sum of which it told.

    `codes` are all that it was ever called, `before` is what was seen when it was told last.
    """
    was = _number(before, found.metric)
    told = reason(found)
    return msgspec.structs.replace(
        told,
        code=codes[-1],
        sentence=f"{sentence(found)}; it was {was} before late data came",
        facts=told.facts | {"codes": list(codes), "before": before},
    )


def sentence(found: Sum) -> str:
    """Return e.g. "merchant m17: 0 transactions from 10:00 to 10:05, expected 41 (23 to 60)"."""
    low, high = found.band
    who = f"{found.kind} {found.entity}" if found.entity else "all traffic"
    span = f"from {_clock(found.start)} to {_clock(found.end)}"
    seen, due, least, most = (_number(value, found.metric) for value in (found.seen, found.due, low, high))
    told = f"{who}: {seen} {NOUNS[found.metric]} {span}, expected {due} ({least} to {most})"
    return f"{told}; {found.note}" if found.note else told


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M" if moment.second == 0 else "%H:%M:%S")


def _number(value: float, metric: str) -> str:
    if metric == "amount":
        return f"{value:,.2f}"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
