"""One user's transactions and one merchant's hours, in the real InfluxDB, found as dashboards find them."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from txwatch.clock import SystemClock
from txwatch.columns import FEED, MERCHANT_HOUR
from txwatch.model import Partition
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.entities import entity_bucket

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
AWKWARD = ['say "hi"', "a,b=c d\\", "line\nbreak", "žluťoučký 😀", "O'Hara"]


def rows(users):
    table = [
        {
            "source": "orders",
            "partition": 0,
            "sequence": number,
            "arrival": number,
            "transaction_id": f"t{number}",
            "timestamp": NOON,
            "user_id": user,
            "merchant_id": "m1",
            "amount": number / 4,
            "currency": "EUR",
            "status": "approved",
        }
        for number, user in enumerate(users)
    ]
    return pl.DataFrame(table, schema=FEED)


def hour(merchant, **changed):
    values = dict.fromkeys(MERCHANT_HOUR, 1) | {"source": "a, b", "partition": 3, "start": NOON}
    return pl.DataFrame([{**values, "merchant_id": merchant, **changed}], schema=MERCHANT_HOUR)


@pytest.fixture
def connection(influx_stores):
    influx_stores.initialise()
    opened = Connection(influx_stores.access("investigator"), SystemClock())
    yield opened
    opened.close()


def of_user(connection, user):
    (result,) = connection.results(
        "transactions", f"SELECT user_id, transaction_id FROM by_user WHERE ub = '{entity_bucket(user)}'"
    )
    return [row[2] for series in result.get("series", ()) for row in series["values"] if row[1] == user]


def test_every_row_of_a_user_is_in_the_users_bucket_once(influx_stores, connection):
    """However often it is written, with any text in its ids."""
    store = influx_stores.open()
    frame = rows(AWKWARD * 50)
    store.put_by_user(frame)
    store.put_by_user(frame.reverse())

    for place, user in enumerate(AWKWARD):
        expected = sorted(f"t{number}" for number in range(place, 250, len(AWKWARD)))
        assert sorted(of_user(connection, user)) == expected


def test_the_hours_of_merchants_come_back_and_are_replaced(influx_stores):
    """The same partition and merchant is one point an hour; another partition, merchant or hour is not."""
    store = influx_stores.open()
    partition = Partition("a, b", 3)
    store.put_merchant_hours(pl.concat([hour(name) for name in AWKWARD]))
    store.put_merchant_hours(pl.concat([hour(AWKWARD[0], count=7), hour("m", partition=4)]))
    store.put_merchant_hours(hour("m", start=NOON + timedelta(hours=1)))

    found = store.merchant_hours(partition, NOON)
    assert dict(found.select("merchant_id", "count").rows()) == dict.fromkeys(AWKWARD, 1) | {AWKWARD[0]: 7}
    assert found.schema == pl.Schema(MERCHANT_HOUR)
    assert store.merchant_hours(partition, NOON - timedelta(hours=1)).is_empty()
