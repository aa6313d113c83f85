"""Anomalies, groups' settings and a notifier for the tests of alerts."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from alerts.notifier import RoutedNotifier
from alerts.outbox import Outbox
from alerts.policy import AlertSettings, ChannelSettings
from alerts.routes import Route
from alerts.sending import Sender
from txwatch.ledger import Ledger
from txwatch.model import Anomaly, AnomalyType, Partition, Reason, Severity
from txwatch.ports import Clock
from txwatch.pseudonym import Pseudonyms

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HIDING = Pseudonyms(b"k" * 32)
SOMEWHERE = Partition("topic", 0)


def found(name: str, user: str = "u1", severity: Severity = Severity.HIGH, **fields: object) -> Anomaly:
    reason = Reason(
        code="user_amount",
        sentence=f"412.00 EUR is 6.1 times what {user} usually spends",
        detector="user_amount",
        type=AnomalyType.AMOUNT,
        entity_kind="user",
    )
    values = {
        "anomaly_id": name,
        "kind": "transaction",
        "type": AnomalyType.AMOUNT,
        "timestamp": NOON,
        "detected_at": NOON,
        "severity": severity,
        "score": 80.0,
        "reasons": (reason,),
        "entity_kind": "user",
        "entity_id": user,
        "user_id": user,
        "amount": 412.0,
        "currency": "EUR",
    }
    return Anomaly(**(values | fields))


def settings(*channels: str, fallback: str = "", **route: object) -> AlertSettings:
    described = {
        name: ChannelSettings(kind="slack", to=("#fraud",), fallback=fallback if name != fallback else "")
        for name in channels
    }
    return AlertSettings(channels=described, route=Route(channels=channels, **route))


def notifier(
    ledger: Ledger, policy: AlertSettings, senders: Mapping[str, Sender], clock: Clock
) -> RoutedNotifier:
    outbox = Outbox(ledger.alerts(), senders, policy.channels, random.Random(1))
    return RoutedNotifier(
        ledger, policy, outbox, clock, pseudonym=HIDING, dashboards="https://grafana.example.org"
    )


def open_ledger(folder: Path, clock: Clock) -> Ledger:
    return Ledger.open(f"sqlite:///{folder / 'ledger.db'}", clock)
