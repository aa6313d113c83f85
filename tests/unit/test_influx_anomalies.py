"""Operators' copies of anomalies hold no personal id; durations are read as Go writes them."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from txwatch.masking import pseudonymous
from txwatch.model import Anomaly, AnomalyType, Reason, Severity
from txwatch.stores.influx.anomalies import anomaly_line
from txwatch.stores.influx.store import duration

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def pseudonym(kind, raw):
    return f"{kind}-{len(raw)}"


@pytest.fixture
def anomaly():
    reason = Reason(
        code="amount",
        sentence="user-77 spent 900 with card-123 from 10.1.2.3",
        detector="profile",
        type=AnomalyType.AMOUNT,
        entity_kind="user",
        facts={"user_id": "user-77", "ip": "10.1.2.3", "amount": 900},
    )
    return Anomaly(
        anomaly_id="a1",
        kind="transaction",
        type=AnomalyType.AMOUNT,
        timestamp=NOW,
        detected_at=NOW,
        severity=Severity.HIGH,
        score=91.0,
        reasons=(reason,),
        entity_kind="user",
        entity_id="user-77",
        user_id="user-77",
        card_id="card-123",
        merchant_id="shop-5",
        transaction_id="tx-1",
    )


def test_operators_see_no_personal_id(anomaly):
    """Neither fields, nor facts, nor sentences of the operators' line name the user, card or address."""
    line = anomaly_line(pseudonymous(anomaly, pseudonym), NOW)

    assert not any(raw in line for raw in ("user-77", "card-123", "10.1.2.3"))
    assert "user_id-7 spent 900 with card_id-8 from ip-8" in line


def test_what_is_no_personal_id_stays(anomaly):
    """Merchant, transaction, score and severity are as they were."""
    seen = pseudonymous(anomaly, pseudonym)
    hidden = {"entity_id", "user_id", "card_id", "reasons"}

    assert all(
        getattr(seen, field.name) == getattr(anomaly, field.name)
        for field in msgspec.structs.fields(anomaly)
        if field.name not in hidden
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("720h0m0s", timedelta(days=30)), ("1h30m0s", timedelta(minutes=90)), ("0s", timedelta(0))],
)
def test_a_duration_is_read(text, expected):
    """InfluxDB's retention comes as Go writes durations."""
    assert duration(text) == expected


def test_a_strange_duration_is_refused():
    """Anything else is an error, not zero."""
    with pytest.raises(ValueError, match="not a duration"):
        duration("a week")
