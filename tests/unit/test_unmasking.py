"""From a pseudonym back to its id: by trying what is stored, the newest first."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from txwatch.columns import POSITION, TRANSACTION
from txwatch.errors import ConfigurationError, UsageError
from txwatch.pseudonym import Pseudonyms
from txwatch.testing import ManualClock, MemoryStore
from txwatch.unmasking import Reach, hidden, revealed

NOW = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)
KEY = Pseudonyms(b"k" * 32)
REACH = Reach(now=NOW, anomalies=timedelta(days=400), transactions=timedelta(days=30))


def paid(user: str, at: datetime, **other: str) -> MemoryStore:
    """A store with one transaction."""
    store = MemoryStore(ManualClock(NOW))
    values = {"source": "s", "partition": 0, "sequence": 1, "timestamp": at, "user_id": user, "amount": 1.0}
    values |= {"transaction_id": "t", "merchant_id": "m", "currency": "EUR", "status": "approved", **other}
    store.append(pl.DataFrame([values], schema=POSITION | TRANSACTION))
    return store


def looked_for(store: MemoryStore, field: str, raw: str) -> str | None:
    return revealed(store, KEY, hidden(KEY(field, raw), KEY), REACH)


@pytest.mark.parametrize(
    "age", [timedelta(minutes=-4), timedelta(0), timedelta(days=29), timedelta(days=3000)]
)
def test_an_id_is_found_however_old_its_transaction_is(age):
    """And where the producer's clock runs ahead."""
    assert looked_for(paid("u-4711", NOW - age), "user_id", "u-4711") == "u-4711"


@pytest.mark.parametrize(("field", "raw"), [("card_id", "c-9"), ("device_id", "d-9"), ("ip", "10.0.0.9")])
def test_every_kind_of_id_is_found(field, raw):
    assert looked_for(paid("u-1", NOW, **{field: raw}), field, raw) == raw


def test_the_same_text_of_another_kind_is_not_the_id():
    """A card that is called like a user is not that user."""
    assert looked_for(paid("u-1", NOW, card_id="u-2"), "user_id", "u-2") is None


def test_how_far_back_it_looked_is_told():
    """From the first window to the last."""
    shares: list[float] = []
    revealed(paid("u-1", NOW), KEY, hidden(KEY("user_id", "u-2"), KEY), REACH, shares.append)

    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    "text", ["u-4711", "user-1-", "user-x-mf2xk3lnorzxi5dv", "shop-1-mf2xk3lnorzxi5dv", ""]
)
def test_what_is_no_pseudonym_is_said(text):
    with pytest.raises(UsageError, match="is no pseudonym; one looks like user-1-"):
        hidden(text, KEY)


def test_a_pseudonym_of_another_key_says_which():
    later = Pseudonyms(b"k" * 32, 2)

    with pytest.raises(ConfigurationError, match="version 2 of the key, and the key here is version 1"):
        hidden(later("user_id", "u-1"), KEY)
