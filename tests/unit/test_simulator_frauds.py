"""The frauds of the simulated world: each kind leaves its trace, and nothing but the labels tells it."""

import polars as pl
import pytest

from collector.simulator.frauds import KINDS
from collector.simulator.places import kilometres
from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import LABELS, Simulation
from txwatch.columns import TRANSACTION

SETTINGS = SimulationSettings(seed=7, users=600, merchants=100, days=14, frauds_per_day=14)
OVERSEAS = {"US", "BR", "TH", "ZA", "AE"}
HOUR = 3600


@pytest.fixture(scope="module")
def simulation():
    return Simulation(SETTINGS)


@pytest.fixture(scope="module")
def days(simulation):
    return list(simulation.days())


@pytest.fixture(scope="module")
def labelled(days):
    """All transactions with kind and episode, null where honest."""
    rows = pl.concat([day.transactions for day in days])
    labels = pl.concat([day.labels for day in days])
    return rows.join(labels, on="transaction_id", how="left", maintain_order="left")


@pytest.fixture(scope="module")
def episodes(simulation):
    return simulation.episodes()


def of(labelled, kind):
    """The transactions of a kind, with what the user otherwise pays by the median."""
    honest = labelled.filter(pl.col("kind").is_null())
    usual = honest.group_by("user_id").agg(pl.col("amount").median().alias("usual"))
    return labelled.filter(pl.col("kind") == kind).join(
        usual, on="user_id", how="left", maintain_order="left"
    )


def seconds(rows):
    """The time between the first and the last transaction of each episode."""
    span = rows.group_by("episode").agg(pl.col("timestamp").max() - pl.col("timestamp").min())
    return span["timestamp"].dt.total_seconds()


def test_every_kind_happens_and_all_but_the_silent_one_leaves_transactions(labelled, episodes):
    """The mix has all kinds; an outage has an episode and no transactions."""
    silent = episodes.join(labelled, on="episode", how="anti")

    assert set(episodes["kind"]) == {kind.name for kind in KINDS}
    assert set(silent["kind"]) == {"merchant_outage"}


def test_frauds_begin_on_their_first_day_and_come_at_their_rate(episodes):
    """About `frauds_per_day` of them, none before."""
    days_with = episodes["start"].dt.date().value_counts()

    assert episodes["start"].min() >= SETTINGS.start.replace(day=7)
    assert 10 < days_with["count"].mean() < 18


def test_labels_name_the_episode(days, episodes):
    """Each label repeats the kind, entity and start of its episode."""
    labels = pl.concat([day.labels for day in days])
    named = labels.join(episodes, on="episode", suffix="_of_episode")

    assert labels.columns == list(LABELS)
    assert named.height == labels.height
    for column in ("kind", "entity_kind", "entity_id", "start"):
        assert (named[column] == named[f"{column}_of_episode"]).all()


def test_a_transaction_lies_within_its_episode(labelled, episodes):
    """Impossible travel ends where the user arrives, up to 40 minutes later."""
    rows = labelled.join(episodes.select("episode", "end"), on="episode")
    late = rows["timestamp"] - rows["end"]

    assert (rows["timestamp"] >= rows["start"]).all()
    assert (late.dt.total_seconds() <= 2400 * (rows["kind"] == "impossible_travel").cast(pl.Int64)).all()


def test_a_fraud_about_a_user_is_paid_by_that_user(labelled):
    """And one about a merchant is paid there."""
    users = labelled.filter(pl.col("entity_kind") == "user")
    merchants = labelled.filter(pl.col("entity_kind") == "merchant")

    assert (users["user_id"] == users["entity_id"]).all()
    assert (merchants["merchant_id"] == merchants["entity_id"]).all()


def test_nothing_in_a_transaction_says_that_it_is_a_fraud(days, labelled):
    """No column for it, and ids look alike: same letter, same length, digits only."""
    assert set(days[3].transactions.columns) == set(TRANSACTION)
    for column in ("transaction_id", "device_id", "card_id"):
        shapes = labelled[column].drop_nulls().str.replace_all(r"\d", "0").unique().to_list()
        assert len(shapes) == 1


def test_honest_people_are_seen_wherever_thieves_are(labelled):
    """No country belongs to frauds alone."""
    honest = labelled.filter(pl.col("kind").is_null())
    overseas = labelled.filter(pl.col("country").is_in(OVERSEAS))

    assert overseas["kind"].is_not_null().any()
    assert honest["country"].is_in(OVERSEAS).any()


def test_a_takeover_multiplies_amounts_and_brings_a_new_device(labelled):
    """Several times what the user usually pays; more than half from a device that nobody honest uses."""
    rows = of(labelled, "account_takeover")
    known = labelled.filter(pl.col("kind").is_null())["device_id"].drop_nulls().unique()

    assert (rows["amount"] / rows["usual"]).median() > 2.5
    assert (~rows["device_id"].is_in(known.to_list())).mean() > 0.5


def test_card_testing_is_many_tiny_mostly_declined_payments_online(labelled):
    """At least eight within twenty minutes, at few merchants, at most 2.50 EUR each."""
    rows = of(labelled, "card_testing")
    each = rows.group_by("episode").agg(pl.len(), pl.col("merchant_id").n_unique())

    assert each["len"].min() >= 8
    assert each["merchant_id"].max() <= 3
    assert rows.filter(pl.col("currency") == "EUR")["amount"].max() <= 2.5
    assert (rows["status"] == "declined").mean() > 0.5
    assert set(rows["channel"]) == {"ecommerce"}
    assert seconds(rows).max() <= 1200


def test_a_high_amount_at_a_new_place_is_paid_overseas(labelled):
    """In EUR at least five times the usual; rates of the simulated world are below 1 there."""
    rows = of(labelled, "high_amount_new_place")

    assert set(rows["country"]) <= OVERSEAS
    assert (rows["amount"] / rows["usual"]).median() > 5
    assert rows["lat"].is_not_null().all()


def test_impossible_travel_is_faster_than_any_plane(labelled):
    """Between each far payment and the user's one before lie more than 900 km/h."""
    located = labelled.filter(pl.col("lat").is_not_null())
    steps = speeds(located).filter(pl.col("kind") == "impossible_travel")

    assert steps.height > 0
    assert steps["kmh"].min() > 900


def test_nobody_honest_is_faster_than_a_plane(labelled):
    """Trips abroad included: on the days of a long flight nobody pays in person."""
    honest = labelled.filter(pl.col("lat").is_not_null() & pl.col("kind").is_null())
    untouched = honest.join(labelled.filter(pl.col("kind") == "impossible_travel"), on="user_id", how="anti")
    far = speeds(untouched).filter(pl.col("km") > 100)

    assert far.height > 0
    assert far["kmh"].max() < 900


def speeds(located):
    """Kilometres and km/h from each user's located payment to the next."""
    steps = located.with_columns(
        pl.col("lat", "lon", "timestamp").shift().over("user_id").name.suffix("_before")
    ).drop_nulls("lat_before")
    km = kilometres(*(steps[c].to_numpy() for c in ("lat", "lon", "lat_before", "lon_before")))
    hours = (steps["timestamp"] - steps["timestamp_before"]).dt.total_milliseconds().to_numpy() / 3.6e6
    return steps.with_columns(km=km, kmh=km / hours.clip(1e-6))


def test_a_velocity_burst_is_many_ordinary_purchases_within_hours(labelled):
    """Ten and more but where a silent merchant swallowed some; approved, none far above the usual."""
    rows = of(labelled, "velocity_burst")

    assert rows.group_by("episode").len()["len"].quantile(0.15) >= 10
    assert set(rows["status"]) == {"approved"}
    assert seconds(rows).max() <= 5 * HOUR
    assert (rows["amount"] / rows["usual"]).median() < 3


def test_a_compromised_merchant_charges_more(labelled):
    """Its median is about two to three times that of its honest days."""
    for (merchant,), rows in of(labelled, "compromised_merchant").group_by("merchant_id"):
        honest = labelled.filter((pl.col("merchant_id") == merchant) & pl.col("kind").is_null())
        if rows.height >= 20:
            assert 1.4 < rows["amount"].median() / honest["amount"].median() < 4.5


def test_stolen_cards_were_never_seen_before(labelled):
    """At least thirty in an episode, each used once, at one merchant within hours."""
    rows = of(labelled, "stolen_cards")
    honest = labelled.filter(pl.col("kind").is_null())["card_id"]
    each = rows.group_by("episode").agg(pl.len(), pl.col("card_id").n_unique())

    assert each["len"].min() >= 30
    assert (each["len"] == each["card_id"]).all()
    assert not rows["card_id"].is_in(honest.to_list()).any()
    assert seconds(rows).max() <= 5 * HOUR


def test_a_flood_is_a_hundred_payments_at_one_merchant_within_an_hour(labelled):
    """By many users."""
    rows = of(labelled, "merchant_flood")
    each = rows.group_by("episode").agg(pl.len(), pl.col("user_id").n_unique().alias("users"))

    assert each["len"].min() >= 100
    assert each["users"].min() > 50
    assert seconds(rows).max() <= HOUR


def test_an_outage_is_silence_at_a_merchant_that_is_otherwise_busy(labelled, episodes):
    """No payment between its start and its end, many on other days."""
    outages = episodes.filter(pl.col("kind") == "merchant_outage")

    assert outages.height > 0
    for merchant, start, end in outages.select("entity_id", "start", "end").iter_rows():
        there = labelled.filter(pl.col("merchant_id") == merchant)
        assert there.height > 14 * 10
        assert not there["timestamp"].is_between(start, end, closed="left").any()
