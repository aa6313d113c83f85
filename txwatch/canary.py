"""The canary: a marked transaction that goes the whole way, so that silence can be told from breakage.

It is a blatant fraud at a merchant that does not exist, with an id that only the holder of the key can make.
It is collected and stored as any other, scored by the same code, settings and rules, and learnt by nothing
(`detectors.rehearsal`); traffic, merchants' and users' figures leave it out; its anomaly has a mode of its
own, which no figure counts.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from txwatch.model import (
    Anomaly,
    AnomalyType,
    Mode,
    Reason,
    Severity,
    Status,
    transaction_anomaly_id,
)
from txwatch.secretkey import secret_key

KEY = "TXWATCH_CANARY_KEY"
MERCHANT = "txwatch-canary"
AMOUNT = 9_999.0
ELSEWHERE = {"country": "NZ", "lat": -41.29, "lon": 174.78, "device_id": MERCHANT}
"""Where a canary pays: far from the payments of the past with which it is compared."""
_PREFIX = "canary-"
_DIGITS = 32


class Canaries:
    """Makes canaries of one key, and knows them again."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def transaction(self, at: datetime, currency: str) -> dict[str, Any]:
        """Return the fields of a canary that is sent at a time."""
        return {
            "transaction_id": self._id(str(int(at.timestamp() * 1000))),
            "timestamp": at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "user_id": MERCHANT,
            "merchant_id": MERCHANT,
            "amount": AMOUNT,
            "currency": currency,
            **ELSEWHERE,
        }

    def is_one(self, transaction_id: str) -> bool:
        """Tell whether an id was made with the key."""
        number = transaction_id.removeprefix(_PREFIX).partition("-")[0]
        return hmac.compare_digest(self._id(number).encode(), transaction_id.encode())

    def among(self, rows: pl.DataFrame) -> pl.Series:
        """Return for each row (columns transaction_id, merchant_id) whether it is a canary."""
        marked = rows["merchant_id"] == MERCHANT
        if not marked.any():
            return marked
        pairs = zip(marked.to_list(), rows["transaction_id"].to_list(), strict=True)
        return pl.Series([meant and self.is_one(name) for meant, name in pairs], dtype=pl.Boolean)

    def _id(self, number: str) -> str:
        digest = hmac.new(self._key, f"canary {number}".encode(), hashlib.sha256).hexdigest()
        return f"{_PREFIX}{number}-{digest[:_DIGITS]}"


def canaries_of(environment: Mapping[str, str]) -> Canaries | None:
    """Return the canaries of this installation, None where there are none.

    Raises ConfigurationError for a key that is too short or not hexadecimal.
    """
    text = environment.get(KEY, "")
    if not text:
        return None
    return Canaries(secret_key(KEY, text))


def parted(rows: pl.DataFrame, canaries: Canaries | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that are none, and the canaries among them."""
    if canaries is None or not (among := canaries.among(rows)).any():
        return rows, rows.clear()
    return rows.filter(~among), rows.filter(among)


def without(rows: pl.DataFrame, canaries: Canaries | None) -> pl.DataFrame:
    """Return rows without the canaries among them."""
    return parted(rows, canaries)[0]


def anomalies_of(rows: pl.DataFrame, detected_at: datetime, why: Sequence[Reason] = ()) -> list[Anomaly]:
    """Return the anomaly of each canary (columns FEED), found for these reasons."""
    return [_anomaly(row, detected_at, why) for row in rows.iter_rows(named=True)]


def _anomaly(row: Mapping[str, Any], detected_at: datetime, why: Sequence[Reason]) -> Anomaly:
    reason = Reason(
        code="canary",
        sentence=f"canary of {row['timestamp']:%H:%M:%S} UTC: sent to see that alerts arrive",
        detector="canary",
        type=AnomalyType.PATTERN,
        entity_kind="merchant",
    )
    position = {name: row[name] for name in ("source", "partition", "sequence")}
    copied = {name: row[name] for name in ("transaction_id", "user_id", "merchant_id", "amount", "currency")}
    return Anomaly(
        anomaly_id=transaction_anomaly_id(row["source"], row["partition"], row["sequence"]),
        kind="transaction",
        type=AnomalyType.PATTERN,
        timestamp=row["timestamp"],
        detected_at=detected_at,
        arrived_at=datetime.fromtimestamp(row["arrival"] / 1e9, UTC),
        severity=Severity.HIGH,
        score=100.0,
        reasons=(reason, *why),
        entity_kind="merchant",
        entity_id=row["merchant_id"],
        mode=Mode.CANARY,
        status=Status(row["status"]),
        **position,
        **copied,
    )
