"""Open groups of alerts: memory of 100,000, and the time of one decision.

python benchmarks/alert_groups.py
"""

import resource
import statistics
import time
from datetime import UTC, datetime

from alerts.deciding import Decider
from alerts.policy import AlertSettings, ChannelSettings
from alerts.routes import Route
from txwatch.model import Anomaly, AnomalyType, Reason, Severity
from txwatch.pseudonym import Pseudonyms

GROUPS = 100_000
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def anomaly(number: int) -> Anomaly:
    user = f"user-{number % GROUPS:06}"
    reason = Reason(
        code="user_amount",
        sentence=f"412.00 EUR is 6.1 times what {user} usually spends",
        detector="user_amount",
        type=AnomalyType.AMOUNT,
        entity_kind="user",
        facts={"user_id": user},
    )
    return Anomaly(
        anomaly_id=f"{number:016x}",
        kind="transaction",
        type=AnomalyType.AMOUNT,
        timestamp=NOON,
        detected_at=NOON,
        severity=Severity.HIGH,
        score=80.0 + number % 7,
        reasons=(reason, reason, reason),
        entity_kind="user",
        entity_id=user,
        user_id=user,
        amount=412.0,
        currency="EUR",
    )


def main() -> None:
    channels = {"ops": ChannelSettings(kind="slack", to=("#fraud",))}
    settings = AlertSettings(channels=channels, route=Route(channels=("ops",), group_by=("entity",)))
    decider = Decider(settings, Pseudonyms(b"k" * 32), "https://grafana.example.org")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = []
    for number in range(2 * GROUPS):
        found = anomaly(number)
        start = time.perf_counter_ns()
        decider.take([(number, found)], known={}, silences=(), now=1e9)
        took.append(time.perf_counter_ns() - start)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{len(decider):,} open groups of 2 anomalies: {grown / 1024:,.0f} MB")
    print(f"one anomaly routed, grouped, written as JSON: median {statistics.median(took) / 1000:.1f} us")
    took = []
    while True:
        start = time.perf_counter_ns()
        step = decider.flush(1e9 + 31)
        if not step.groups:
            break
        took.append((time.perf_counter_ns() - start) / len(step.groups))
    median = statistics.median(took) / 1000
    print(f"one group decided, its message made: median {median:.1f} us")


if __name__ == "__main__":
    main()
