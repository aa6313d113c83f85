"""SIGKILL while rules, labels and models change: the state ends byte for byte as if nothing had happened."""

import random
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from rules_bench import simulated

from detectors.service import CONSUMER
from txwatch.clock import SystemClock
from txwatch.ledger import Ledger
from txwatch.ports import AnomalyQuery
from txwatch.stores import open_store

PROGRAM = Path(__file__).with_name("acting_detector.py")


@contextmanager
def running(folder, halt=0):
    """Run the program; yields it once it says that it begins."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), str(halt)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def run_to_the_end(folder) -> float:
    """Return how many seconds it worked."""
    with running(folder) as process:
        begin = time.monotonic()
        assert process.wait() == 0
        return time.monotonic() - begin


def filled(folder: Path, rows) -> Path:
    folder.mkdir()
    store = open_store(f"sqlite:///{folder / 'store.db'}", SystemClock(), writer=True)
    store.append(rows)
    store.close()
    return folder


def outcome(folder: Path):
    """State, anomalies, and what is queued, less the wall-clock times."""
    clock = SystemClock()
    store = open_store(f"sqlite:///{folder / 'store.db'}", clock, writer=False)
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", clock)
    anomalies = {
        each.anomaly_id: msgspec.structs.replace(each, detected_at=each.timestamp, arrived_at=None)
        for each in store.anomalies(AnomalyQuery(limit=None))
    }
    queued = sorted(entry.anomaly_id for entry in ledger.discovered(0, 1_000_000))
    for each in (store, ledger):
        each.close()
    return (folder / "state").read_bytes(), anomalies, queued


@pytest.fixture(scope="module")
def rows():
    return simulated(5)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, rows):
    """How long it works, and what comes of it."""
    folder = filled(tmp_path_factory.mktemp("acts") / "undisturbed", rows)
    seconds = run_to_the_end(folder)
    return seconds, outcome(folder)


@pytest.mark.parametrize("halt", [1, 7, 16])
def test_killed_between_the_record_of_an_act_and_its_effect(tmp_path, rows, undisturbed, halt):
    folder = filled(tmp_path / "killed", rows)
    with running(folder, halt) as process:
        assert process.stdout.readline() == "halted\n"
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", SystemClock())
    acts = ledger.acts(CONSUMER, 0)
    ledger.close()
    run_to_the_end(folder)

    assert acts
    assert outcome(folder) == undisturbed[1]


def test_killed_again_and_again_at_any_moment(tmp_path, rows, undisturbed):
    folder, moments = filled(tmp_path / "killed", rows), random.Random(8)
    for _ in range(6):
        with running(folder):
            time.sleep(moments.uniform(0.0, undisturbed[0]))
    run_to_the_end(folder)

    assert len(undisturbed[1][1]) > 20
    assert outcome(folder) == undisturbed[1]
