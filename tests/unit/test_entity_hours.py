"""Merchants' hours and rows by user: each transaction is counted once, whatever dies, however late."""

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from collector.entities.service import EntityService
from txwatch.columns import MERCHANT_HOUR, POSITION, TRANSACTION
from txwatch.ledger import Ledger
from txwatch.model import Partition
from txwatch.testing import ManualClock, MemoryEntities, MemoryStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ORDERS = Partition("orders", 0)


class Places(MemoryStore, MemoryEntities):
    """A store that files entities as well."""

    def __init__(self, clock):
        MemoryStore.__init__(self, clock)
        MemoryEntities.__init__(self)


@pytest.fixture
def store():
    return Places(ManualClock(NOON))


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger.open(f"sqlite:///{tmp_path}/ledger.db", ManualClock(NOON))
    yield opened
    opened.close()


def rows(*payments, first=0):
    """Rows of (minutes after noon, merchant, amount, status)."""
    table = [
        {
            "source": "orders",
            "partition": 0,
            "sequence": first + n,
            "transaction_id": f"t{first + n}",
            "timestamp": NOON + timedelta(minutes=minutes),
            "user_id": f"user-{n % 3}",
            "merchant_id": merchant,
            "amount": amount,
            "currency": "EUR",
            "status": status,
        }
        for n, (minutes, merchant, amount, status) in enumerate(payments)
    ]
    return pl.DataFrame(table, schema={**POSITION, **TRANSACTION})


def service(store, ledger, **options):
    return EntityService(store, ledger, flush_seconds=0.0, **options)


def hours(store, start=NOON):
    return {row["merchant_id"]: row for row in store.merchant_hours(ORDERS, start).iter_rows(named=True)}


def test_an_hour_holds_the_sums_of_its_transactions(store, ledger):
    """Half-open hours; only approved amounts above nothing are paid."""
    store.append(rows((0, "m1", 2.0, "approved"), (59, "m1", 8.0, "approved"), (60, "m1", 1.0, "approved")))
    store.append(rows((1, "m1", 99.0, "declined"), (2, "m1", 0.0, "approved"), first=3))
    service(store, ledger).step()

    hour = hours(store)["m1"]
    assert (hour["count"], hour["declined"], hour["paid"]) == (4, 1, 2)
    assert (hour["total"], hour["largest"], hour["through"]) == (10.0, 8.0, 4)
    assert math.isclose(hour["log_total"], math.log(16.0))
    assert math.isclose(hour["log_squares"], math.log(2.0) ** 2 + math.log(8.0) ** 2)


def test_what_was_written_but_not_committed_is_not_counted_twice(store, ledger, monkeypatch):
    """A crash between the writing and the commit: the next process reads the rows again."""
    store.append(rows((0, "m1", 2.0, "approved"), (1, "m2", 3.0, "approved")))
    dying = service(store, ledger)
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "commit_step", _die)
        with pytest.raises(KeyboardInterrupt):
            dying.step()
    store.append(rows((2, "m1", 5.0, "approved"), first=2))
    service(store, ledger).step()

    assert {name: hour["count"] for name, hour in hours(store).items()} == {"m1": 2, "m2": 1}
    assert len(store.users) == 3


def test_a_late_transaction_counts_in_its_own_hour(store, ledger):
    """Also in an hour that this process has never seen."""
    store.append(rows((0, "m1", 2.0, "approved")))
    service(store, ledger).step()
    store.append(rows((600, "m1", 1.0, "approved"), (1, "m1", 4.0, "approved"), first=1))
    service(store, ledger).step()

    assert hours(store)["m1"]["count"] == 2
    assert hours(store, NOON + timedelta(hours=10))["m1"]["count"] == 1


def test_hours_that_memory_let_go_are_read_again(store, ledger):
    """More hours than are kept, visited twice: all of them hold both visits."""
    working = service(store, ledger)
    for visit in range(2):
        for hour in range(40):
            store.append(rows((60 * hour, "m1", 1.0, "approved"), first=visit * 40 + hour))
            working.step()

    counts = [hours(store, NOON + timedelta(hours=hour))["m1"]["count"] for hour in range(40)]
    assert counts == [2] * 40


def test_an_amount_without_a_rate_is_counted_and_not_added_up(store, ledger):
    """Rates are those of the base currency."""
    store.append(rows((0, "m1", 2.0, "approved")))
    service(store, ledger, rates={"USD": 1.0}).step()

    hour = hours(store)["m1"]
    assert (hour["count"], hour["paid"], hour["total"]) == (1, 0, 0.0)


def test_closing_writes_what_is_counted(store, ledger):
    """Nothing waits for a flush that never comes."""
    store.append(rows((0, "m1", 2.0, "approved")))
    working = EntityService(store, ledger, flush_seconds=3600.0)
    working.step()
    working.close()
    working.close()

    assert list(hours(store)) == ["m1"]
    assert list(store.merchant_hours(ORDERS, NOON).columns) == list(MERCHANT_HOUR)


def _die(*_):
    raise KeyboardInterrupt
