"""What people need around an anomaly, in its buckets: measurements `reasons` and `context`.

    reasons,code=user_amount,detector=..,mode=live anomaly_id="1f..",contribution=61.5,... <event time>
    context,mode=live,ub=c6c anomaly_id="1f..",transaction_id="t1",... <event time of that transaction>

A reason is one point, with what its anomaly is filtered by, and all of that once more as one text
(`txwatch/summary.py`); codes are those of detectors and rules, so they are bounded.  Of what is withdrawn
the share is 0, so that sums pass it over.  Context is the user's hour before and after.  Below the
millisecond stands a hash of what the point is about, so that different ones do not meet.  `ub` is the
entity bucket of the user as shown.

Guarantee: written again, all of it is the same points.
"""

import zlib
from collections.abc import Iterable

import polars as pl

from txwatch.model import Anomaly, AnomalyState, Reason
from txwatch.stores.influx.entities import entity_bucket
from txwatch.stores.influx.layout import LAP, NOTHING
from txwatch.stores.influx.points import FieldValue, point, point_time
from txwatch.summary import REASON, summary

REASONS = "reasons"
CONTEXT = "context"
CONTEXT_TEXTS = (
    "user_id",
    "transaction_id",
    "merchant_id",
    "currency",
    "status",
    "channel",
    "country",
    "card_id",
)


def reason_lines(anomaly: Anomaly) -> Iterable[str]:
    """Yield a line for each reason of an anomaly, as it is given: raw, or with pseudonyms."""
    for place, reason in enumerate(anomaly.reasons):
        time = point_time(anomaly.timestamp, _number(anomaly.anomaly_id))
        for code in _codes(anomaly, reason):
            tags = {"code": code, "detector": reason.detector, "mode": anomaly.mode.value}
            fields = _reason_fields(anomaly, reason, place)
            fields["summary"] = summary(fields, REASON)
            yield point(REASONS, tags, fields, time)


def context_lines(anomaly: Anomaly, rows: pl.DataFrame) -> Iterable[str]:
    """Yield a line for each transaction (columns FEED) around an anomaly."""
    for row in rows.iter_rows(named=True):
        own = (row["source"], row["partition"], row["sequence"])
        fields: dict[str, FieldValue] = {
            "anomaly_id": anomaly.anomaly_id,
            "amount": float(row["amount"]),
            "itself": own == (anomaly.source, anomaly.partition, anomaly.sequence),
            **{name: row[name] or NOTHING for name in CONTEXT_TEXTS},
        }
        time = point_time(row["timestamp"], _number(anomaly.anomaly_id, *map(str, own)))
        tags = {"mode": anomaly.mode.value, "ub": entity_bucket(row["user_id"])}
        yield point(CONTEXT, tags, fields, time)


def _codes(anomaly: Anomaly, reason: Reason) -> Iterable[str]:
    """Return the reason's code; of what is withdrawn every one that it had: no point of it stands."""
    if anomaly.state is AnomalyState.FOUND:
        return (reason.code,)
    return dict.fromkeys([reason.code, *reason.facts.get("codes", ())])


def _reason_fields(anomaly: Anomaly, reason: Reason, place: int) -> dict[str, FieldValue]:
    return {
        "anomaly_id": anomaly.anomaly_id,
        "place": place,
        "sentence": reason.sentence,
        "type": reason.type.value,
        "entity_kind": reason.entity_kind,
        "contribution": float(reason.contribution) if anomaly.level else 0.0,
        "observed": _number_or_none(reason.observed),
        "expected": _number_or_none(reason.expected),
        "baseline_size": reason.baseline_size,
        "baseline_level": reason.baseline_level or "none",
        "level": anomaly.level,
        "severity": anomaly.standing,
        "score": anomaly.score,
        "channel": anomaly.channel or NOTHING,
        "country": anomaly.country or NOTHING,
        "merchant_id": anomaly.merchant_id or NOTHING,
        "user_id": anomaly.user_id or NOTHING,
        "transaction_id": anomaly.transaction_id or NOTHING,
    }


def _number_or_none(value: float | None) -> float | None:
    return None if value is None else float(value)


def _number(*parts: str) -> int:
    return zlib.crc32("\0".join(parts).encode()) % LAP
