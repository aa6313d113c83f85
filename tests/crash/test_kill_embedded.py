"""SIGKILL at any moment costs nothing: `txwatch run` ends with the anomalies of an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from txwatch.clock import SystemClock
from txwatch.ledger import Ledger
from txwatch.model import Anomaly
from txwatch.ports import AnomalyQuery, SeriesPoint, SeriesQuery
from txwatch.stores import open_store

ROOT = Path(__file__).parents[2]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KILLS_PER_RUN = 5


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "txwatch", *arguments]


def environment(home: Path) -> dict[str, str]:
    return os.environ | {
        "TXWATCH_HOME": str(home),
        "TXWATCH_RULES": str(ROOT / "rules.yaml"),
        "TXWATCH_SNAPSHOT_SECONDS": "0.4",
    }


def run_to_the_end(source: Path, home: Path) -> float:
    """Run `txwatch run` until the file is through; returns how long it took, in seconds."""
    begin = time.monotonic()
    done = subprocess.run(
        command("run", str(source), "--once", "--alerts-file", str(home / "alerts.jsonl")),
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - begin


def run_and_kill(source: Path, home: Path, after: float) -> None:
    """Run it and kill it without warning after so many seconds, unless it has ended."""
    process = subprocess.Popen(
        command("run", str(source), "--once", "--alerts-file", str(home / "alerts.jsonl")),
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(timeout=after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()


class Outcome(msgspec.Struct, frozen=True):
    anomalies: list[Anomaly]
    points: list[SeriesPoint]
    counts: dict[str, int]
    queued: list[str]
    told: list[str]


def outcome(home: Path) -> Outcome:
    """Everything a person could see afterwards, less the wall-clock times."""
    clock = SystemClock()
    store = open_store(f"sqlite:///{home / 'store.db'}", clock, writer=False)
    ledger = Ledger.open(f"sqlite:///{home / 'ledger.db'}", clock)
    try:
        anomalies = store.anomalies(AnomalyQuery(limit=None))
        return Outcome(
            anomalies=sorted((timeless(a) for a in anomalies), key=lambda a: a.anomaly_id),
            points=store.series(SeriesQuery()),
            counts=store.counts(),
            queued=sorted(entry.anomaly_id for entry in ledger.discovered(0, 1_000_000)),
            told=sorted(told(home / "alerts.jsonl")),
        )
    finally:
        ledger.close()
        store.close()


def timeless(anomaly: Anomaly) -> Anomaly:
    return msgspec.structs.replace(anomaly, detected_at=EPOCH, arrived_at=None)


def told(path: Path) -> list[str]:
    lines = path.read_bytes().splitlines()
    return [msgspec.json.decode(line)["anomaly"]["anomaly_id"] for line in lines]


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """A simulated fortnight with frauds, and what an undisturbed run makes of it."""
    folder = tmp_path_factory.mktemp("stream")
    source = folder / "payments.jsonl"
    subprocess.run(
        command(
            *("simulate", "--output", str(source), "--days", "14", "--users", "400"),
            *("--merchants", "80", "--seed", "11", "--frauds-per-day", "4"),
        ),
        check=True,
        capture_output=True,
    )
    home = folder / "undisturbed"
    seconds = run_to_the_end(source, home)
    return source, seconds, outcome(home)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_killed_again_and_again_it_ends_with_the_same_anomalies(stream, tmp_path, seed):
    """Five kills at random moments each: same anomalies, series, counts, queue and notifications."""
    source, seconds, expected = stream
    moments = random.Random(seed)

    for _ in range(KILLS_PER_RUN):
        run_and_kill(source, tmp_path, after=moments.uniform(0.2, seconds))
    run_to_the_end(source, tmp_path)

    assert len(expected.anomalies) > 20
    assert outcome(tmp_path) == expected
