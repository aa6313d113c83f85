"""The report: one self-contained HTML file with everything that was found, filterable, no network.

Every value travels as JSON and is written into the page as text, never as markup.
"""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from txwatch.errors import TxwatchError
from txwatch.model import Anomaly
from txwatch.ports import SeriesPoint
from txwatch.views.palette import SEVERITY

TEMPLATE = Path(__file__).with_name("report.html")
PLACE = "/*DATA*/null"


class KindFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of labelled fraud was found."""

    kind: str
    episodes: int
    found: int
    median_delay_seconds: float | None


class DetectionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was found against labels that detection never saw."""

    kinds: Sequence[KindFigures]
    anomalies: int
    true: int
    """Anomalies that lie in an episode."""
    days: float
    """Of event time."""


class ReportData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in a report."""

    title: str
    made_at: datetime
    transactions: int
    quarantined: int
    anomalies: Sequence[Anomaly]
    traffic: Sequence[SeriesPoint] = ()
    """Windows of the series of all traffic, oldest first."""
    figures: DetectionFigures | None = None


def write_report(path: Path, data: ReportData) -> None:
    """Write the report, whole or not at all."""
    page = TEMPLATE.read_text().replace(PLACE, embedded(data))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(page)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TxwatchError(f"cannot write the report {path}: {error.strerror}") from error


def embedded(data: ReportData) -> str:
    """Return the data as JSON that may stand inside a script element, whatever its texts contain."""
    value = {
        "title": data.title,
        "made_at": data.made_at.isoformat(timespec="seconds"),
        "transactions": data.transactions,
        "quarantined": data.quarantined,
        "colours": SEVERITY,
        "anomalies": [_anomaly(anomaly) for anomaly in data.anomalies],
        "traffic": [[_ms(p.start), p.value, p.expected, p.low, p.high] for p in data.traffic],
        "figures": msgspec.to_builtins(data.figures),
    }
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _anomaly(a: Anomaly) -> dict[str, Any]:
    facts = msgspec.to_builtins(a)
    return {
        "id": a.anomaly_id,
        "t": _ms(a.timestamp),
        "severity": a.severity.word,
        "level": int(a.severity),
        "score": round(a.score, 1),
        "type": a.type.value,
        "types": sorted({a.type.value, *(reason.type.value for reason in a.reasons)}),
        "who": f"{a.entity_kind} {a.entity_id}",
        "user": a.user_id or "",
        "merchant": a.merchant_id or "",
        "transaction": a.transaction_id or "",
        "amount": a.amount,
        "currency": a.currency or "",
        "late": a.late,
        "reasons": facts["reasons"],
        "detectors": {name: round(value, 2) for name, value in a.detectors.items()},
        "facts": {name: facts[name] for name in _FACTS if facts.get(name) not in {None, ""}},
    }


_FACTS = ("kind", "status", "channel", "country", "card_id", "series", "window_end", "source", "sequence")


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
