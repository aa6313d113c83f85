"""What is kept around an anomaly, and which versions detect, for those who look at it later."""

from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from detectors.changes import note_changes
from detectors.context import ContextService
from txwatch.columns import FEED
from txwatch.ledger import Ledger
from txwatch.model import Anomaly, AnomalyType, Reason, Severity
from txwatch.stores.influx.surroundings import context_lines, reason_lines
from txwatch.testing import AtOnce, ManualClock, MemoryStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def payment(number: int, minutes: float, user: str = "u1") -> dict[str, object]:
    return {
        "source": "orders",
        "partition": 0,
        "sequence": number,
        "transaction_id": f"t{number}",
        "timestamp": NOON + timedelta(minutes=minutes),
        "user_id": user,
        "merchant_id": "m1",
        "amount": 10.0,
        "currency": "EUR",
        "status": "approved",
    }


def reason(code: str) -> Reason:
    return Reason(code=code, sentence="strange", detector=code, type=AnomalyType.AMOUNT, entity_kind="user")


@pytest.fixture
def found() -> Anomaly:
    return Anomaly(
        anomaly_id="a1", kind="transaction", type=AnomalyType.AMOUNT, timestamp=NOON, detected_at=NOON,
        severity=Severity.HIGH, score=90.0, reasons=(reason("one"), reason("two")), entity_kind="user",
        entity_id="u1", source="orders", sequence=2, transaction_id="t2", user_id="u1",
    )  # fmt: skip


class Kept(MemoryStore):
    """Remembers what it was given to keep."""

    def __init__(self, clock):
        super().__init__(clock)
        self.context = []

    def put_context(self, anomaly, rows):
        self.context.append((anomaly.anomaly_id, rows["transaction_id"].to_list()))


class Later(Executor):
    """Does nothing yet."""

    def submit(self, fn, /, *args, **kwargs):
        return Future()


def test_the_users_hour_is_kept_once(tmp_path, found):
    """Before and after the anomaly, of nobody else; a service that starts again does not repeat it."""
    clock = ManualClock(NOON)
    store = Kept(clock)
    rows = [payment(0, -61), payment(1, -59), payment(2, 0), payment(3, 5, user="u2"), payment(4, 59)]
    store.append(pl.DataFrame(rows, schema={name: FEED[name] for name in FEED if name != "arrival"}))
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock)
    ledger.commit_step("detectors", {}, [found])
    ContextService(store, ledger, AtOnce()).step()
    ContextService(store, ledger, AtOnce()).step()
    ledger.close()

    assert store.context == [("a1", ["t1", "t2", "t4"])]


def test_what_is_not_kept_yet_is_kept_by_the_next_one(tmp_path, found):
    """The number is recorded when it is done, not when it is begun."""
    clock = ManualClock(NOON)
    store, later = Kept(clock), Later()
    store.append(pl.DataFrame([payment(2, 0)], schema={n: FEED[n] for n in FEED if n != "arrival"}))
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock)
    ledger.commit_step("detectors", {}, [found])
    vanished = ContextService(store, ledger, later)
    begun, waiting = vanished.step(), vanished.step()
    ContextService(store, ledger, AtOnce()).step()
    ledger.close()

    assert (begun.handled, waiting.handled, waiting.waiting) == (1, 0, True)
    assert store.context == [("a1", ["t2"])]


def test_points_of_one_anomaly_do_not_meet(found):
    """Two reasons at one time, and two transactions in one millisecond."""
    rows = pl.DataFrame([payment(1, 0), payment(2, 0)], schema=FEED)
    keys = [
        (line.split(" ", 1)[0], line.rsplit(" ", 1)[1])
        for line in [*reason_lines(found), *context_lines(found, rows)]
    ]

    assert len(set(keys)) == 4


def test_a_version_is_noted_when_it_is_another():
    """The first one too; the same again is no change."""
    noted = {}

    class Versions:
        def versions_in_use(self):
            return {kind: version for kind, (version, _) in noted.items()}

        def put_change(self, kind, version, sentence, at):
            noted[kind] = (version, sentence)

    first = note_changes(Versions(), {"rules": "1", "code": "a"}, NOON)
    second = note_changes(Versions(), {"rules": "2", "code": "a"}, NOON)

    assert (first, second) == (["rules", "code"], ["rules"])
    assert noted["rules"] == ("2", "rules 2 instead of 1")
