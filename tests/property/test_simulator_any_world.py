"""Any world that the settings allow can be lived in."""

from datetime import UTC, datetime

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode import Decoder
from collector.fastpath import read_frame
from collector.schema import Schema
from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import Simulation
from collector.simulator.source import SimulatorSource
from txwatch.columns import TRANSACTION

WORLDS = st.builds(
    SimulationSettings,
    seed=st.integers(0, 2**40),
    users=st.integers(1, 60),
    merchants=st.integers(10, 40),
    start=st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001  # made aware here
        lambda time: time.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    ),
    days=st.integers(1, 4),
    per_user_per_day=st.floats(0, 20),
    frauds_per_day=st.floats(0, 40),
    first_fraud_day=st.integers(0, 2),
)


@given(WORLDS)
@settings(max_examples=30, deadline=None)
def test_rows_are_valid_in_order_and_unique(world):
    """However few live there, however many frauds befall them; labels name what exists."""
    simulation = Simulation(world)
    made = list(simulation.days())
    rows = pl.concat([day.transactions for day in made])
    labels = pl.concat([day.labels for day in made])

    assert rows.schema == pl.Schema(TRANSACTION)
    assert rows.is_empty() or read_frame(rows.drop("extra"), Decoder(Schema())).rejected == ()
    assert rows["timestamp"].is_sorted()
    assert rows["transaction_id"].is_unique().all()
    assert labels["transaction_id"].is_unique().all()
    assert labels["transaction_id"].is_in(rows["transaction_id"].to_list()).all()
    assert labels["episode"].is_in(simulation.episodes()["episode"].to_list()).all()


@given(WORLDS, st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_a_day_is_a_function_of_the_settings_and_its_number(world, day):
    """Asked for alone or after others, it is the same."""
    after_others = Simulation(world)
    after_others.day(max(0, day - 1))

    assert after_others.day(day).transactions.equals(Simulation(world).day(day).transactions)
    assert after_others.day(day).labels.equals(Simulation(world).day(day).labels)


@given(WORLDS, st.lists(st.integers(1, 400), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None)
def test_restarts_anywhere_lose_and_double_nothing(world, cuts):
    """Read a part, forget everything but the position, go on: the same stream as undisturbed."""
    whole = pl.concat([day.transactions for day in Simulation(world).days()])
    positions, parts = {}, []
    for limit in cuts:
        part = SimulatorSource(Simulation(world), positions).read(limit)
        positions = positions | dict(part.positions)
        parts.append(part.rows)
    read = pl.concat(parts)

    assert read["sequence"].to_list() == list(range(read.height))
    assert read.select(list(TRANSACTION)).equals(whole[: read.height])
