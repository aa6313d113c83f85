"""What people and models decided in a month, and what was looked at: the small part of `dashboards_data`."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, product

from txwatch.copies import Copy
from txwatch.coverage import Tally
from txwatch.model import Anomaly
from txwatch.ports import AuditRecord
from txwatch.stores.influx.store import InfluxStore

RULES = 20


def decided(store: InfluxStore, since: datetime, days: int, found: Iterator[Anomaly]) -> int:
    """A label and an act for one of ten anomalies, a model and two versions a day, fifty suppressions."""
    copies = [copy for each in islice(found, 0, None, 10) for copy in _copies_of(each)]
    for number in range(days):
        at = since + timedelta(days=number)
        figures = {"ordinary": 0.41, "champion_ordinary": 0.42, "payments": 30_000, "held_back": 9_000_000}
        told = {"number": number, "state": "retired", "sentence": "no worse"}
        copies.append(Copy(kind="models", at=at, labels={"detector": "forest"}, values=told | figures))
        for half in (0, 1):
            version = {"number": 2 * number + half, "version": "9c", "state": "over", "actor": "ada"}
            why = {"reason": "ticket", "changed": "2 lines more, 1 less"}
            copies.append(Copy(kind="rules_versions", at=at, number=half, values=version | why))
    for number in range(50):
        until = since + timedelta(days=number)
        shown = {"state": "active", "owner": "ada", "reason": "ticket", "conditions": "rule a"}
        shown |= {"until": f"{until:%Y-%m-%d %H:%M}", "hid": number}
        labels = {"kind": "suppression", "name": f"noise-{number}"}
        copies.append(Copy(kind="hidings", at=since, labels=labels, values=shown))
    for number, rule in product(range(1, 51), range(RULES)):
        at = since + timedelta(hours=number)
        values = {"number": number, "mode": "live", "severity": "high"}
        copies.append(
            Copy(kind="rules", at=at, number=number, labels={"rule": f"rule-{rule}"}, values=values)
        )
    for part in batched(copies, 5_000):
        store.put_copies(part)
    return len(copies)


def audit(store: InfluxStore, times: list[int]) -> int:
    """Write a record for each time."""
    records = [
        AuditRecord(
            number=number,
            at=at,
            actor="ada",
            action=f"action {number % 20}",
            facts='{"reason": "ticket"}',
            hash=f"{number:064x}",
        )
        for number, at in enumerate(times)
    ]
    for part in batched(records, 5_000):
        store.put_audit(part)
    return len(records)


def looked_at(store: InfluxStore, times: list[int], payments: int) -> int:
    """Write what was looked at in each window of ten minutes, with two rules in shadow."""
    names = (*(f"detector-{n}" for n in range(14)), "shadow rule-3", "shadow rule-4")
    for part in batched(times, 100):
        windows = {
            datetime.fromtimestamp(at, UTC): {
                name: Tally(evaluated=payments, hits=3 * name.startswith("shadow")) for name in names
            }
            for at in part
        }
        store.put_coverage(windows)
    return len(names) * len(times)


def _copies_of(anomaly: Anomaly) -> Iterator[Copy]:
    verdict = {"verdict": "fraud" if anomaly.sequence % 20 else "false-positive"}
    about = [("rule", rule) for rule in anomaly.rules]
    for kind, name in (*about, ("detector", anomaly.reasons[0].detector), ("all", "all")):
        labels = {"kind": kind, "name": name}
        yield Copy(
            kind="labels", at=anomaly.timestamp, number=anomaly.sequence, labels=labels, values=verdict
        )
    did = {"anomaly_id": anomaly.anomaly_id, "actor": "grace", "did": "said fraud", "text": "-"}
    yield Copy(kind="handling", at=anomaly.detected_at, number=anomaly.sequence, values=did)


def batched(items: Iterable, size: int) -> Iterator[list]:
    """Yield lists of at most `size` items."""
    source = iter(items)
    while part := list(islice(source, size)):
        yield part
