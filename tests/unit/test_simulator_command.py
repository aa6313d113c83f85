"""`txwatch simulate`: whole files or none, the same rows in every format."""

from datetime import timedelta

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from collector.offline import read_inputs
from collector.schema import Schema
from collector.simulator.commands import mount
from collector.simulator.sending import send_stream
from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import LABELS, Simulation
from txwatch.clock import SystemClock
from txwatch.columns import TRANSACTION
from txwatch.errors import TxwatchError, UsageError
from txwatch.testing import ManualClock

SMALL = ("--days", "4", "--users", "150", "--merchants", "30", "--seed", "9")


def simulate(*arguments: str):
    app = typer.Typer()
    mount(app)
    return CliRunner().invoke(app, [*SMALL, *arguments])


@pytest.fixture(scope="module")
def simulation():
    return Simulation(SimulationSettings(seed=9, users=150, merchants=30, days=4))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_file_reads_back_as_what_was_simulated(tmp_path, simulation, suffix):
    """By the collector's own readers, in every format."""
    path = tmp_path / f"payments{suffix}"

    result = simulate("--output", str(path))

    rows = pl.concat([part.rows for part in read_inputs([str(path)], Schema(), SystemClock().now)])
    made = pl.concat([day.transactions for day in simulation.days()])
    assert result.exit_code == 0
    assert rows.select(list(TRANSACTION)).equals(made)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_labels_and_episodes_are_files_of_their_own(tmp_path, simulation):
    """Labels by transaction, episodes with the silent ones, and a summary a kind."""
    labels, episodes = tmp_path / "labels.csv", tmp_path / "episodes.csv"

    result = simulate(
        "--output", str(tmp_path / "p.jsonl"), "--labels", str(labels), "--episodes", str(episodes)
    )

    expected = pl.concat([day.labels for day in simulation.days()])
    assert pl.read_csv(labels).columns == list(LABELS)
    assert pl.read_csv(labels)["transaction_id"].to_list() == expected["transaction_id"].to_list()
    assert pl.read_csv(episodes)["episode"].to_list() == simulation.episodes()["episode"].to_list()
    assert f"{expected.height:,} of them in {simulation.episodes().height:,} frauds" in result.output


def test_a_world_without_frauds_has_empty_labels(tmp_path):
    """A header and no line."""
    labels = tmp_path / "labels.csv"

    result = simulate("--output", str(tmp_path / "p.csv"), "--labels", str(labels), "--frauds-per-day", "0")

    assert result.exit_code == 0
    assert labels.read_text().splitlines() == [",".join(LABELS)]


@pytest.mark.parametrize("option", [("--output", "p.txt"), ("--output", "p.csv", "--labels", "l.json")])
def test_a_name_without_a_known_format_is_refused(option):
    """Before anything is simulated."""
    result = simulate(*option)

    assert isinstance(result.exception, UsageError)


def test_a_place_that_cannot_be_written_is_said_in_a_sentence(tmp_path):
    """An older file stays as it was, and nothing half-written is left."""
    result = simulate("--output", str(tmp_path / "absent" / "p.csv"))

    assert isinstance(result.exception, TxwatchError)
    assert "cannot write" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_rate_is_kept_by_the_clock():
    """Slices leave when they are due, not before; with no rate nothing waits."""
    clock, left = ManualClock(), []
    rows = pl.DataFrame({"user_id": [f"u{number}" for number in range(300)]})

    send_stream(iter([rows]), lambda part: left.append((clock.now(), len(part))), clock, 100.0)
    took = clock.now() - left[0][0]
    send_stream(iter([rows]), lambda part: left.append((clock.now(), len(part))), clock, 0.0)

    assert took == timedelta(seconds=2.95)
    assert {count for _, count in left[:-1]} == {5}
    assert left[-1][1] == 300


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--output", "a.jsonl", "--to", "kafka://h:1/t"],
        ["--to", "http://h/t"],
        ["--to", "kafka://h:1/a,b"],
    ],
)
def test_one_place_has_to_be_named(options):
    """A file or one topic, not both, not several."""
    with pytest.raises(UsageError):
        raise simulate(*options).exception
