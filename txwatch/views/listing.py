"""Anomalies in words: one line each, or one of them explained in full.  Pure functions of values."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from txwatch.model import Anomaly, AnomalyLabel, AnomalyNote, AnomalyState, Reason
from txwatch.views.palette import SEVERITY


def as_table(anomalies: Sequence[Anomaly]) -> Table:
    """Return a table for a terminal, one row an anomaly."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for column in ("id", "time", "severity", "score", "who", "amount", "why"):
        table.add_column(column, no_wrap=column != "why")
    for a in anomalies:
        severity = Text(a.standing, style=SEVERITY.get(a.standing, "dim"))
        when = f"{a.timestamp:%Y-%m-%d %H:%M:%S}"
        table.add_row(a.anomaly_id, when, severity, f"{a.score:.0f}", _who(a), _amount(a), _why(a))
    return table


def as_line(a: Anomaly) -> str:
    """Return one plain line with tabs between its parts."""
    parts = (a.anomaly_id, f"{a.timestamp:%Y-%m-%dT%H:%M:%SZ}", a.standing, f"{a.score:.0f}", _who(a))
    return "\t".join((*parts, _amount(a), _why(a)))


def explanation(a: Anomaly, label: AnomalyLabel | None = None, notes: Sequence[AnomalyNote] = ()) -> str:
    """Return everything that is known of an anomaly, in words, with the label in force and what was noted."""
    lines = [
        _standing(a),
        f"{_who(a)}, {a.timestamp:%A %Y-%m-%d %H:%M:%S} UTC" + (", late" if a.late else ""),
        "",
        *_transaction(a),
        "Why:",
        *(line for reason in a.reasons for line in _reason(reason)),
        "",
    ]
    if a.rules:
        lines.append(f"Rules that hit: {', '.join(a.rules)}")
    if a.detectors:
        strongest = sorted(a.detectors.items(), key=lambda item: -item[1])
        lines.append("Evidence (log odds): " + ", ".join(f"{name} {value:+.1f}" for name, value in strongest))
    lines.append("Made by: " + ", ".join(f"{what} {version}" for what, version in a.versions.items()))
    if a.arrived_at is not None:
        waited = (a.detected_at - a.arrived_at).total_seconds()
        lines.append(f"Found {a.detected_at:%Y-%m-%d %H:%M:%S} UTC, {waited:.2f} s after it arrived")
    if label is not None:
        at = datetime.fromtimestamp(label.at, UTC)
        lines.append(f"Labelled {label.verdict.value} by {label.by}, {at:%Y-%m-%d %H:%M:%S} UTC")
    lines += [_note(each) for each in notes]
    return "\n".join(lines)


def _standing(a: Anomaly) -> str:
    if a.state is AnomalyState.WITHDRAWN:
        return f"WITHDRAWN anomaly {a.anomaly_id}, it was {a.severity.word}"
    was = "" if a.before is None else f"; it was {a.before.word} before late data came"
    return f"{a.severity.word.upper()} anomaly {a.anomaly_id}, score {a.score:.0f} of 100{was}"


def _note(note: AnomalyNote) -> str:
    said = f"With {note.text or 'nobody'}" if note.kind == "assigned" else note.text
    return f"{said} ({note.by}, {datetime.fromtimestamp(note.at, UTC):%Y-%m-%d %H:%M:%S} UTC)"


def _transaction(a: Anomaly) -> list[str]:
    if a.transaction_id is None:
        return [
            f"Series {a.series}, window to {a.window_end:%H:%M:%S}" if a.window_end else f"Series {a.series}",
            "",
        ]
    facts = {
        "transaction": a.transaction_id,
        "user": a.user_id,
        "merchant": a.merchant_id,
        "amount": _amount(a),
        "status": a.status.value if a.status else None,
        "channel": a.channel,
        "country": a.country,
        "card": a.card_id,
    }
    return [*(f"  {name:12} {value}" for name, value in facts.items() if value), ""]


def _reason(reason: Reason) -> list[str]:
    head = f"  {reason.contribution:5.1f} %  {reason.sentence}"
    facts = []
    if reason.observed is not None:
        facts.append(f"observed {reason.observed:,.2f}")
    if reason.expected is not None:
        facts.append(f"expected {reason.expected:,.2f}")
    if reason.baseline_size is not None:
        facts.append(f"from {reason.baseline_size:,} of the {reason.baseline_level or 'entity'}")
    detail = f"           {reason.detector}" + (f": {', '.join(facts)}" if facts else "")
    return [head, detail]


def _who(a: Anomaly) -> str:
    return f"{a.entity_kind} {a.entity_id}"


def _amount(a: Anomaly) -> str:
    return "" if a.amount is None else f"{a.amount:,.2f} {a.currency or ''}".strip()


def _why(a: Anomaly) -> str:
    return a.reasons[0].sentence if a.reasons else a.type.value
