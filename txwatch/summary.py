"""An anomaly, or a reason of one, as one text: what people filter by, count and list, a line each.

A store finds a text by a pattern while it reads it; to put twenty fields of thousands of points beside each
other first takes InfluxDB longer than anybody waits for a page.  So dashboards ask for this text alone, and
take apart what is left.  The first line is the level, 0 for what was withdrawn; `-` is nothing at all.
"""

from collections.abc import Mapping, Sequence

ANOMALY = (
    "level",
    "severity",
    "types",
    "rules",
    "channel",
    "country",
    "merchant_id",
    "user_id",
    "transaction_id",
    "anomaly_id",
    "type",
    "score",
    "amount",
    "currency",
    "status",
    "entity_kind",
    "entity_id",
    "detected_at",
    "late",
    "reason",
)
"""The lines of an anomaly's summary."""

REASON = (
    "level",
    "severity",
    "type",
    "channel",
    "country",
    "merchant_id",
    "user_id",
    "transaction_id",
    "place",
    "entity_kind",
    "baseline_level",
    "baseline_size",
    "contribution",
    "expected",
)
"""The lines of a reason's."""

MISSING = "-"


def summary(values: Mapping[str, str | float | None], lines: Sequence[str]) -> str:
    """Return these values, a line each; a line break within one becomes a space."""
    return "".join(f"{_line(values[name])}\n" for name in lines)


def _line(value: str | float | None) -> str:
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("\n", " ") or MISSING
