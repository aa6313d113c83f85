"""The honest part of the simulated world: the same from the same seed, and plausible."""

from itertools import islice

import polars as pl
import pytest

from collector.decode import Decoder
from collector.fastpath import read_frame
from collector.schema import Schema
from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import Simulation
from txwatch.columns import TRANSACTION

SETTINGS = SimulationSettings(seed=3, users=800, merchants=120, days=21, frauds_per_day=0)


@pytest.fixture(scope="module")
def days():
    return list(Simulation(SETTINGS).days())


@pytest.fixture(scope="module")
def rows(days):
    return pl.concat([day.transactions for day in days])


def test_the_same_seed_gives_the_same_bytes(days):
    """Another simulation of the same settings is equal, another seed is not."""
    again = Simulation(SETTINGS).day(5)
    other = Simulation(SimulationSettings(seed=4, users=800, merchants=120, frauds_per_day=0)).day(5)

    assert again.transactions.write_csv() == days[5].transactions.write_csv()
    assert not other.transactions.equals(days[5].transactions)


def test_a_day_does_not_depend_on_how_many_follow(days):
    """An endless simulation begins with the same days."""
    endless = Simulation(SimulationSettings(seed=3, users=800, merchants=120, frauds_per_day=0))

    for one, same in zip(islice(endless.days(), 4), days, strict=False):
        assert one.transactions.equals(same.transactions)


def test_every_transaction_passes_the_schema(rows):
    """What the simulator says is what a producer may say, with unique ids and in order of time."""
    read = read_frame(rows.drop("extra"), Decoder(Schema()))

    assert read.rejected == ()
    assert read.rows.select(list(TRANSACTION)).equals(rows)
    assert rows["transaction_id"].is_unique().all()
    assert rows["timestamp"].is_sorted()


def test_nights_are_quiet(rows):
    """A few sleepless buy online; shops are closed."""
    european = rows.filter(pl.col("country") != "US")
    night = european.filter(pl.col("timestamp").dt.hour() < 3)

    assert 0 < night.height / european.height < 0.02
    assert (night["channel"] == "ecommerce").all()


def test_no_minute_of_the_day_is_a_heap(rows):
    """Habits are folded, not cut off, at the edges of the waking day."""
    minutes = rows["timestamp"].dt.hour().cast(pl.Int32) * 60 + rows["timestamp"].dt.minute()

    assert minutes.value_counts()["count"].max() < 4 * rows.height / 1440


def test_the_end_of_the_week_is_busier_than_its_sunday(rows):
    """Fridays and Saturdays against Sundays."""
    per_day = rows["timestamp"].dt.weekday().value_counts().sort("timestamp")["count"].to_list()

    assert min(per_day[4:6]) > 1.2 * per_day[6]


def test_rates_are_those_of_the_settings(rows):
    """Payments per user and day, declined and reversed ones."""
    per_user = rows.height / SETTINGS.users / 21
    status = rows["status"]

    assert 0.8 < per_user / SETTINGS.per_user_per_day < 1.05
    assert 0.015 < (status == "declined").mean() < 0.025
    assert 0.001 < (status == "reversed").mean() < 0.006


def test_most_pay_in_euro_and_some_do_not(rows):
    """The currency is that of the country."""
    shares = dict(rows["currency"].value_counts(normalize=True).iter_rows())
    one_each = rows.group_by("country").agg(pl.col("currency").n_unique())

    assert shares["EUR"] > 0.85
    assert {"GBP", "CHF", "PLN"} <= set(shares)
    assert one_each["currency"].max() == 1


def test_channels_carry_what_they_should(rows):
    """In person there is a place; online there are an address and a device."""
    online = rows["channel"] == "ecommerce"

    assert set(rows["channel"]) == {"pos", "ecommerce", "atm"}
    assert rows.filter(~online)["lat"].is_not_null().all()
    assert rows.filter(~online)["ip"].is_null().all()
    assert rows.filter(online)["lat"].is_null().all()
    assert rows.filter(online).select("ip", "device_id").null_count().row(0) == (0, 0)


def test_people_have_habits(rows):
    """Most of one's payments go to a handful of merchants, from at most two devices and cards."""
    visits = rows.group_by("user_id", "merchant_id").len().sort("len", descending=True)
    top = visits.group_by("user_id").agg(pl.col("len").head(5).sum().alias("top"), pl.col("len").sum())
    means = rows.group_by("user_id").agg(pl.col("device_id", "card_id").drop_nulls().n_unique())

    assert (top["top"] / top["len"]).median() > 0.5
    assert means["device_id"].max() == 2
    assert means["card_id"].max() == 2


def test_nobody_shares_a_card_or_device(rows):
    """Each belongs to one user."""
    for column in ("card_id", "device_id", "ip"):
        owners = rows.drop_nulls(column).group_by(column).agg(pl.col("user_id").n_unique())
        assert owners["user_id"].max() == 1


def test_people_and_merchants_appear_over_time(rows):
    """Some are first seen long after the first days."""
    for column in ("user_id", "merchant_id"):
        first = rows.group_by(column).agg(pl.col("timestamp").min())["timestamp"]
        assert (first > SETTINGS.start.replace(day=15)).any()


def test_honest_people_travel_and_treat_themselves(rows):
    """Some pay in person in two countries, some pay five times their usual."""
    located = rows.filter(pl.col("lat").is_not_null())
    countries = located.group_by("user_id").agg(pl.col("country").n_unique())
    ratio = rows.select(pl.col("amount") / pl.col("amount").median().over("user_id", "merchant_id"))

    assert (countries["country"] > 1).any()
    assert (ratio["amount"] > 4).any()
