"""From evidence to reasons and anomalies; done for flagged rows only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import polars as pl

from detectors.method import Found, Method, level_word
from detectors.scored import Scored
from detectors.severity import log_odds_of
from txwatch.model import Anomaly, Reason, Severity, Status, transaction_anomaly_id

_LEAST = -5.0
"""Log odds below which a hypothesis is no reason."""

_MOST = 6
"""Reasons of detectors that are told; a rule that hit is always told."""

_POSITION = {"source": "", "partition": 0, "sequence": 0, "arrival": None}


def explain(
    scored: Scored, m: int, methods: Sequence[Method], rule_reasons: Sequence[Reason], base: str
) -> tuple[Reason, ...]:
    """Return the reasons of scored row `m`, largest contribution first; the contributions add to 100 %."""
    evidence = scored.evidence[scored.fresh[m]]
    row = scored.judged.published.row(m)
    told = [int(k) for k in np.argsort(-evidence, kind="stable")[:_MOST] if evidence[k] > _LEAST]
    if not told and not rule_reasons:
        told = [int(np.argmax(evidence))]
    weighted = [(_weight(evidence[k]), _reason(scored, m, k, methods[k], row, base)) for k in told]
    weighted += [(_rule_weight(reason), reason) for reason in rule_reasons]
    total = sum(weight for weight, _ in weighted)
    shares = [(100.0 * weight / total, reason) for weight, reason in weighted]
    ordered = sorted(shares, key=lambda pair: -pair[0])
    return tuple(msgspec.structs.replace(reason, contribution=round(share, 1)) for share, reason in ordered)


def anomaly_of(
    row: dict[str, Any],
    scored: Scored,
    i: int,
    reasons: tuple[Reason, ...],
    detected_at: datetime,
    versions: dict[str, str],
) -> Anomaly:
    """Return the anomaly of batch row `i`."""
    place = {name: row.get(name, default) for name, default in _POSITION.items()}
    first = reasons[0]
    return Anomaly(
        anomaly_id=transaction_anomaly_id(place["source"], place["partition"], place["sequence"]),
        kind="transaction",
        type=first.type,
        timestamp=row["timestamp"],
        detected_at=detected_at,
        arrived_at=_arrival(place["arrival"]),
        severity=Severity(int(scored.severity[i])),
        score=float(scored.score[i]),
        reasons=reasons,
        entity_kind=first.entity_kind,
        entity_id=row.get(f"{first.entity_kind}_id") or row["user_id"],
        late=bool(scored.is_late[i]),
        source=place["source"],
        partition=place["partition"],
        sequence=place["sequence"],
        **{name: row[name] for name in _COPIED},
        status=Status(row["status"]),
        rules=tuple(reason.code for reason in reasons if reason.detector == "rules"),
        detectors=detector_evidence(scored, i),
        versions=versions,
    )


def detector_evidence(scored: Scored, i: int) -> dict[str, float]:
    """Return each detector's evidence about batch row `i`, the silent ones left out."""
    pairs = zip(scored.names, scored.evidence[i].tolist(), strict=True)
    return {name: round(e, 3) for name, e in pairs if e > _SILENT}


_SILENT = -20.0

_COPIED = (
    "transaction_id",
    "user_id",
    "merchant_id",
    "amount",
    "currency",
    "channel",
    "country",
    "card_id",
)


def _reason(scored: Scored, m: int, k: int, method: Method, row: dict[str, Any], base: str) -> Reason:
    found = scored.judged.found[k]
    about = Found(
        observed=float(found.observed[m]),
        expected=float(found.expected[m]),
        size=int(found.size[m]),
        level=level_word(int(found.level[m])),
        currency=base if scored.judged.has_rate[m] else row["currency"],
        row=row,
    )
    return Reason(
        code=method.name,
        sentence=method.sentence(about),
        detector=method.name,
        type=method.type,
        entity_kind=method.entity_kind,
        observed=_finite(about.observed),
        expected=_finite(about.expected),
        baseline_size=about.size,
        baseline_level=about.level,
        facts={"log_odds": round(float(scored.evidence[scored.fresh[m], k]), 2)},
    )


def _weight(evidence: float) -> float:
    return max(float(evidence) - _LEAST, 0.1)


def _rule_weight(reason: Reason) -> float:
    """Return the weight of a rule hit: that of a detector with the evidence of the rule's severity."""
    severity = str(reason.facts.get("severity", "low"))
    return _weight(log_odds_of(_SCORE_OF_SEVERITY.get(severity, 50.0)))


_SCORE_OF_SEVERITY = {"low": 50.0, "medium": 65.0, "high": 85.0, "critical": 97.0}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _arrival(nanoseconds: int | None) -> datetime | None:
    if nanoseconds is None:
        return None
    arrival: datetime = pl.Series([nanoseconds], dtype=pl.Datetime("ns", "UTC"))[0]
    return arrival
