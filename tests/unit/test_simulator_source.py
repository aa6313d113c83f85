"""The simulated world as a source: the same identities after any restart, nothing from the future."""

from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import pytest

from collector.pace import PacedSource
from collector.simulator.settings import SimulationSettings, rebased
from collector.simulator.simulation import Simulation
from collector.simulator.source import SimulatorSource, source_name
from txwatch.columns import POSITION, TRANSACTION
from txwatch.model import Partition
from txwatch.testing import ManualClock

SETTINGS = SimulationSettings(seed=7, users=200, merchants=40, days=6)


def read(source: SimulatorSource) -> pl.DataFrame:
    """Everything until the end."""
    parts = []
    while not (part := source.read(700)).finished:
        parts.append(part.rows)
    return pl.concat(parts)


@pytest.fixture(scope="module")
def whole():
    return read(SimulatorSource(Simulation(SETTINGS), {}))


def test_rows_are_numbered_without_gaps(whole):
    """One partition; the sequence is the row number."""
    assert list(whole.schema.items()) == list((POSITION | TRANSACTION).items())
    assert whole["sequence"].to_list() == list(range(whole.height))
    assert set(whole["source"]) == {source_name(SETTINGS)}


@pytest.mark.parametrize("start", [0, 1, 1000, 3000])
def test_the_source_goes_on_at_a_position(whole, start):
    """The same rows with the same identities, whatever was read before."""
    rest = read(SimulatorSource(Simulation(SETTINGS), {Partition(source_name(SETTINGS), 0): start}))

    assert rest.equals(whole[start:])


def test_after_the_last_row_comes_nothing(whole):
    """A position at the end gives an end at once."""
    source = SimulatorSource(Simulation(SETTINGS), {Partition(source_name(SETTINGS), 0): whole.height})

    part = source.read(10)

    assert part.finished
    assert part.positions == {}


def test_a_position_is_the_next_row(whole):
    """What a read says to go on with continues exactly there."""
    source = SimulatorSource(Simulation(SETTINGS), {})

    first = source.read(123)
    again = SimulatorSource(Simulation(SETTINGS), first.positions).read(10)

    assert again.rows.equals(whole[123:133])


def test_labels_are_known_for_the_days_begun(whole):
    """And every one of them is a row of the stream."""
    source = SimulatorSource(Simulation(SETTINGS), {})
    read(source)

    labels = pl.concat(source.labels)

    assert len(source.labels) == SETTINGS.days
    assert labels["transaction_id"].is_in(whole["transaction_id"].to_list()).all()


def test_a_default_world_is_named_by_its_seed():
    """However many days are made of it."""
    assert source_name(SimulationSettings(seed=5)) == "simulator-5"
    assert source_name(SimulationSettings(seed=5, days=3)) == "simulator-5"


@pytest.mark.parametrize("change", [{"users": 201}, {"start": datetime(2026, 2, 1, tzinfo=UTC)}])
def test_another_world_is_another_source(change):
    """So that two different messages never share an identity."""
    assert source_name(msgspec.structs.replace(SETTINGS, **change)) != source_name(SETTINGS)


def test_a_rebased_world_ends_now_and_goes_on_in_real_time():
    """The history at once, then each row when it happens."""
    clock = ManualClock(datetime(2026, 5, 6, 15, 30, tzinfo=UTC))
    settings = msgspec.structs.replace(rebased(SETTINGS, clock.now(), history_days=2), days=None)
    source = SimulatorSource(Simulation(settings), {}, live=clock)
    history = []
    while (part := source.read(500)).positions:
        history.append(part.rows)

    clock.advance(timedelta(hours=1))
    later = source.read(500).rows

    past = pl.concat(history)["timestamp"]
    assert past.min().date() == datetime(2026, 5, 4, tzinfo=UTC).date()
    assert datetime(2026, 5, 6, 15, tzinfo=UTC) < past.max() <= datetime(2026, 5, 6, 15, 30, tzinfo=UTC)
    assert later["timestamp"].is_between(datetime(2026, 5, 6, 15, 30, tzinfo=UTC), clock.now()).all()
    assert later.height > 0


def test_a_day_at_twenty_thousand_times_flows_evenly():
    """A day in 4.3 seconds: ten times a second comes a part, and no part is a flood."""
    clock = ManualClock()
    source = PacedSource(SimulatorSource(Simulation(SETTINGS), {}), 20_000, clock)
    sizes = []
    for _ in range(40):
        sizes.append(source.read(1000).rows.height)
        clock.advance(timedelta(seconds=0.1))

    assert sum(sizes) > 500
    assert max(sizes) < sum(sizes) / 5
