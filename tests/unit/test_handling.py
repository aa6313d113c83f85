"""What people did about anomalies, and what they said of them, is put where dashboards show it."""

import msgspec
import pytest
from alert_builders import NOON, SOMEWHERE, found, notifier, open_ledger, settings

from alerts.acknowledging import acknowledge
from alerts.groups import Group
from alerts.sending import Delivered
from detectors.handling import HandlingService
from detectors.labelcopies import LabelCopies
from txwatch.errors import StoreBusyError
from txwatch.model import AnomalyLabel, AnomalyNote, Cursor, Verdict
from txwatch.stores.influx.copies import copy_line
from txwatch.stores.influx.layout import ANOMALIES, CASES
from txwatch.testing import ManualClock, MemoryStore


class Copying(MemoryStore):
    """A store that keeps copies, or is away."""

    def __init__(self, clock):
        super().__init__(clock)
        self.copies, self.away = {}, False

    def put_copies(self, copies):
        if self.away:
            raise StoreBusyError("the store is away")
        for each in copies:
            self.copies[each.kind, each.at, each.number, *sorted(each.labels.items())] = each


class Taking:
    """A channel that takes everything."""

    def send(self, notice, key, reference):
        return Delivered()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def ledger(tmp_path, clock):
    opened = open_ledger(tmp_path, clock)
    yield opened
    opened.close()


@pytest.fixture
def store(clock) -> Copying:
    return Copying(clock)


def said(store: Copying) -> set[tuple[str, str, str]]:
    values = [each.values for each in store.copies.values()]
    return {(each["anomaly_id"], each["actor"], each["did"]) for each in values}


def test_what_people_did_stands_beside_the_anomaly(ledger, store, clock):
    """Labels, who takes it over, and comments."""
    ledger.label(AnomalyLabel(anomaly_id="a", transaction_id="t", verdict=Verdict.FRAUD, by="grace"))
    ledger.note(AnomalyNote(anomaly_id="a", kind="assigned", text="olga", by="ada"))
    ledger.note(AnomalyNote(anomaly_id="b", kind="comment", text="called u1", by="olga"))
    ledger.record("ada", "rules in use", {"version": "1"})
    HandlingService(store, ledger, clock).step()

    assert said(store) == {
        ("a", "grace", "said fraud"),
        ("a", "ada", "assigned it to olga"),
        ("b", "olga", "commented"),
    }


def test_an_acknowledged_group_is_told_at_each_of_its_anomalies(ledger, store, clock):
    """Not at those of other groups."""
    anomalies = [found("a"), found("b"), found("c", user="u2")]
    telling = notifier(ledger, settings("ops", group_by=("entity",)), {"ops": Taking()}, clock)
    telling.step()
    ledger.commit_step("detectors", {SOMEWHERE: Cursor(1, 1)}, anomalies)
    telling.step()
    groups = [
        msgspec.json.decode(each, type=Group) for each in ledger.alerts().groups(limit=9, only_open=True)
    ]
    (mine,) = [group for group in groups if group.members == 2]
    acknowledge(ledger.alerts(), mine.group_id, "olga", NOON.timestamp())
    telling.close()
    HandlingService(store, ledger, clock).step()

    assert said(store) == {(each, "olga", "acknowledged its group") for each in ("a", "b")}


def test_what_was_written_is_for_investigators_only(ledger, store, clock):
    """In a comment an id may stand."""
    ledger.note(AnomalyNote(anomaly_id="a", kind="comment", text="called u1", by="olga"))
    HandlingService(store, ledger, clock).step()
    (copied,) = store.copies.values()

    assert "called u1" in copy_line(copied, CASES)
    assert "called u1" not in copy_line(copied, ANOMALIES)


def test_nothing_is_lost_while_the_store_is_away(ledger, store, clock):
    """It is copied when the store is back, and once, after a restart too."""
    ledger.label(AnomalyLabel(anomaly_id="a", transaction_id="t", verdict=Verdict.FRAUD, by="grace"))
    store.away = True
    HandlingService(store, ledger, clock).step()
    store.away = False
    again = HandlingService(store, ledger, clock)

    assert again.step().handled == 1
    assert HandlingService(store, ledger, clock).step().handled == 0
    assert len(store.copies) == 1


def test_a_label_counts_for_each_rule_and_for_the_leading_detector(ledger, store, clock):
    """A later label of the same anomaly takes the place of the earlier one."""
    store.put_anomalies([msgspec.structs.replace(found("a"), rules=("burst", "night"))])
    copying = LabelCopies(store, ledger, clock)
    for verdict in (Verdict.FRAUD, Verdict.FALSE_POSITIVE):
        ledger.label(AnomalyLabel(anomaly_id="a", transaction_id="t", verdict=verdict, by="grace"))
    copying.step()

    assert {
        (each.labels["kind"], each.labels["name"], each.values["verdict"]) for each in store.copies.values()
    } == {
        ("rule", "burst", "false-positive"),
        ("rule", "night", "false-positive"),
        ("detector", "user_amount", "false-positive"),
        ("all", "all", "false-positive"),
    }
