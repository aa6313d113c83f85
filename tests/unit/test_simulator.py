"""The simulated world: the same from the same seed, plausible, and each fraud leaves its trace."""

from itertools import islice

import numpy as np
import polars as pl
import pytest

from collector.fastpath import read_frame
from collector.schema import Schema
from collector.simulator.frauds import KINDS
from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import Simulation
from collector.simulator.source import SimulatorSource
from txwatch.columns import TRANSACTION
from txwatch.model import Partition

SETTINGS = SimulationSettings(seed=7, users=400, merchants=80, days=12, frauds_per_day=12)


@pytest.fixture(scope="module")
def days():
    return list(Simulation(SETTINGS).days())


@pytest.fixture(scope="module")
def labelled(days):
    """All transactions with kind and episode, null where honest."""
    rows = pl.concat([day.transactions for day in days])
    labels = pl.concat([day.labels for day in days])
    return rows.join(labels, on="transaction_id", how="left", maintain_order="left")


def test_the_same_seed_gives_the_same_world(days):
    """Another simulation of the same settings is equal, another seed is not."""
    again = Simulation(SETTINGS).day(5)
    other = Simulation(SimulationSettings(seed=8, users=400, merchants=80)).day(5)

    assert again.transactions.equals(days[5].transactions)
    assert again.labels.equals(days[5].labels)
    assert not other.transactions.equals(days[5].transactions)


def test_a_day_does_not_depend_on_how_many_follow(days):
    """An endless simulation begins with the same days."""
    endless = Simulation(SimulationSettings(seed=7, users=400, merchants=80, frauds_per_day=12))

    for one, same in zip(islice(endless.days(), 4), days, strict=False):
        assert one.transactions.equals(same.transactions)


def test_every_transaction_passes_the_schema(labelled):
    """What the simulator says is what a producer may say, with unique ids and in order of time."""
    rows = labelled.select(list(TRANSACTION))

    read = read_frame(rows.drop("extra"), Schema())

    assert read.rejected == ()
    assert read.rows.drop("row").equals(rows)
    assert rows["transaction_id"].is_unique().all()
    assert rows["timestamp"].is_sorted()


def test_labels_are_no_columns_of_transactions(days):
    """Nothing in a transaction says that it is a fraud."""
    assert set(days[3].transactions.columns) == set(TRANSACTION)


def test_nights_are_quiet_and_declines_are_rare(labelled):
    """The rhythm of a day, and the usual share of declined payments."""
    hours = labelled["timestamp"].dt.hour()
    honest = labelled.filter(pl.col("kind").is_null())

    assert (hours < 5).mean() < 0.02
    assert 0.01 < (honest["status"] == "declined").mean() < 0.03


def test_every_kind_of_fraud_happens(labelled):
    """The mix has all kinds; an outage has an episode and no transactions."""
    episodes = Simulation(SETTINGS).episodes(12)

    assert set(episodes["kind"]) == {kind.name for kind in KINDS}
    assert set(labelled["kind"].drop_nulls()) == {kind.name for kind in KINDS} - {"merchant_outage"}
    assert set(labelled["episode"].drop_nulls()) <= set(episodes["episode"])


def ratio_to_own_median(labelled: pl.DataFrame, kind: str) -> float:
    usual = (
        labelled.filter(pl.col("kind").is_null())
        .group_by("user_id")
        .agg(pl.col("amount").median().alias("usual"))
    )
    rows = labelled.filter(pl.col("kind") == kind).join(usual, on="user_id")
    return float((rows["amount"] / rows["usual"]).median())


def test_a_takeover_multiplies_amounts(labelled):
    """Its payments are several times what the user usually pays."""
    assert ratio_to_own_median(labelled, "account_takeover") > 2.5


def test_card_testing_is_many_tiny_mostly_declined_payments(labelled):
    """At least eight within half an hour, at most 2.50 EUR each."""
    rows = labelled.filter((pl.col("kind") == "card_testing") & (pl.col("currency") == "EUR"))
    per_episode = rows.group_by("episode").agg(
        pl.len(), pl.col("timestamp").max() - pl.col("timestamp").min()
    )

    assert rows["amount"].max() <= 2.5
    assert (rows["status"] == "declined").mean() > 0.5
    assert per_episode["len"].min() >= 8
    assert per_episode["timestamp"].max().total_seconds() < 1800


def test_impossible_travel_is_faster_than_any_plane(labelled):
    """Between the far payment and the user's one before lie more than 900 km/h."""
    located = labelled.filter(pl.col("lat").is_not_null()).with_columns(
        pl.col("lat", "lon", "timestamp").shift().over("user_id").name.suffix("_before")
    )
    rows = located.filter(pl.col("kind") == "impossible_travel")
    hours = (rows["timestamp"] - rows["timestamp_before"]).dt.total_seconds().to_numpy() / 3600

    assert len(rows) > 0
    assert np.median(kilometres(rows) / hours) > 900


PLACES = ("lat", "lon", "lat_before", "lon_before")


def kilometres(rows: pl.DataFrame) -> np.ndarray:
    """Great-circle distance to the place before, haversine formula."""
    lat, lon, lat0, lon0 = (
        np.radians(rows[c].to_numpy()) for c in ("lat", "lon", "lat_before", "lon_before")
    )
    a = np.sin((lat - lat0) / 2) ** 2 + np.cos(lat) * np.cos(lat0) * np.sin((lon - lon0) / 2) ** 2
    return 2 * 6371 * np.arcsin(np.sqrt(a))


def test_new_places_are_far_and_amounts_high(labelled):
    """A country where nobody of this world lives."""
    rows = labelled.filter(pl.col("kind") == "high_amount_new_place")

    assert set(rows["country"]) <= {"BR", "US", "TH", "ZA"}


def test_a_flood_is_a_hundred_payments_at_one_merchant(labelled):
    """Within an hour, by many users."""
    floods = (
        labelled.filter(pl.col("kind") == "merchant_flood")
        .group_by("episode")
        .agg(pl.len(), pl.col("merchant_id").n_unique(), pl.col("user_id").n_unique().alias("users"))
    )

    assert floods["len"].min() >= 100
    assert floods["merchant_id"].max() == 1
    assert floods["users"].min() > 50


def test_an_outage_is_silence(labelled):
    """No payment at the merchant between its start and its end."""
    outages = Simulation(SETTINGS).episodes(12).filter(pl.col("kind") == "merchant_outage")

    assert outages.height > 0
    for merchant, start, end in outages.select("entity_id", "start", "end").iter_rows():
        during = labelled.filter(
            (pl.col("merchant_id") == merchant) & pl.col("timestamp").is_between(start, end, closed="left")
        )
        assert during.filter(pl.col("kind").is_null()).is_empty()


@pytest.mark.parametrize("start", [0, 1, 1000, 5000])
def test_the_source_goes_on_at_a_position(start):
    """The same rows with the same identities, whatever was read before."""
    whole = read(SimulatorSource(Simulation(SETTINGS), {}))

    rest = read(SimulatorSource(Simulation(SETTINGS), {Partition("simulator-7", 0): start}))

    assert rest.equals(whole[start:])
    assert whole["sequence"].to_list() == list(range(whole.height))


def read(source: SimulatorSource) -> pl.DataFrame:
    parts = []
    while not (part := source.read(700)).finished:
        parts.append(part.rows)
    return pl.concat(parts)
