"""What is old enough goes by itself, once an hour; history that is loaded to be looked at stays."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from txwatch.columns import POSITION, TRANSACTION
from txwatch.housekeeping import HousekeepingService
from txwatch.ledger.ledger import Ledger
from txwatch.ports import RetentionPolicy
from txwatch.stores.sqlite.store import SqliteStore
from txwatch.testing import ManualClock

NOW = datetime(2026, 3, 1, tzinfo=UTC)
POLICY = RetentionPolicy(transactions=timedelta(days=30))


def payments(*times):
    rows = [
        {"source": "s", "partition": 0, "sequence": n, "transaction_id": f"t{n}", "timestamp": at}
        | {"user_id": "u", "merchant_id": "m", "amount": 1.0, "currency": "EUR", "status": "approved"}
        for n, at in enumerate(times)
    ]
    return pl.DataFrame(rows, schema={**POSITION, **TRANSACTION})


@pytest.fixture
def clock():
    return ManualClock(NOW)


@pytest.fixture
def kept(tmp_path, clock):
    """Return how many transactions of some event times are left when the service was at work."""
    store = SqliteStore(tmp_path / "store.db", clock, writer=True)
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock)

    def after(hours: float, *times: datetime) -> int:
        service = HousekeepingService(store, ledger, clock, POLICY)
        store.append(payments(*times))
        clock.advance(timedelta(hours=hours))
        service.step()
        return store.counts()["transactions"]

    yield after
    ledger.close()
    store.close()


def test_what_is_older_than_the_policy_allows_goes(kept):
    assert kept(1, NOW - timedelta(days=31), NOW - timedelta(days=29), NOW) == 2


def test_nothing_goes_before_an_hour_is_over(kept):
    assert kept(0.9, NOW - timedelta(days=31), NOW) == 2


def test_history_is_as_old_as_its_newest_event(kept):
    """Ten years ago, both within a day: neither is too old to be looked at."""
    then = NOW - timedelta(days=3650)

    assert kept(1, then, then + timedelta(days=1)) == 2
