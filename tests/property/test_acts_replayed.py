"""Whatever is done to a detector and wherever it dies, it ends in the state of one that never died."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from acts_bench import OTHER, SEVERE, ActsBench
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from people_bench import FEEDBACK, RULES
from rules_bench import simulated

EDITS = {"as before": FEEDBACK, "severe": SEVERE, "other": OTHER, "without feedback": RULES}
DEEDS = (*EDITS, "labels", "model", "snapshot", "batch", "batch", "batch")
DEATHS = ("no", "after it", "in it", "after it, and the newest snapshot is damaged")
DAMAGED = b"damaged"


class DiedError(Exception):
    """The process is gone."""


def do(bench: ActsBench, deed: str) -> None:
    match deed:
        case "labels":
            bench.label_all()
        case "model":
            bench.order()
        case "snapshot":
            bench.keep()
        case "batch":
            bench.detector.step()
        case _:
            bench.edit(EDITS[deed])


def do_and_die(bench: ActsBench, deed: str, death: str) -> None:
    """Do it, and start again where the process dies; in it is after its act was recorded."""
    record = bench.ledger.record_act

    def record_and_die(*given: object) -> int:
        record(*given)
        raise DiedError

    if death == "in it":
        bench.ledger.record_act = record_and_die
    with suppress(DiedError):
        do(bench, deed)
    bench.ledger.record_act = record
    files = snapshots(bench)
    if "damaged" in death and len(files) > 1 and all(file.read_bytes() != DAMAGED for file in files):
        files[-1].write_bytes(DAMAGED)
    if death != "no":
        bench.die()
        do_the_rest(bench, deed)


def do_the_rest(bench: ActsBench, deed: str) -> None:
    """What a person ordered is carried out again by whoever starts: only the last of both times counts."""
    if deed == "model":
        bench.people()


def snapshots(bench: ActsBench) -> list[Path]:
    """The snapshots' files, the newest last."""
    return sorted((bench.path.parent / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime_ns)


@pytest.fixture(scope="module")
def rows():
    return simulated(5)


steps = st.lists(st.tuples(st.sampled_from(DEEDS), st.sampled_from(DEATHS)), min_size=3, max_size=8)


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(steps=steps)
def test_a_detector_that_dies_again_and_again_ends_as_one_that_lives(rows, steps):
    with tempfile.TemporaryDirectory() as folder:
        dying, living = (ActsBench(Path(folder) / name, rows) for name in ("dying", "living"))
        for bench in (dying, living):
            bench.score(steps=6)
        for deed, death in steps:
            do_and_die(dying, deed, death)
            do(living, deed)
        for bench in (dying, living):
            bench.score()

        assert dying.state == living.state
        assert dying.scores() == living.scores()
        assert dying.looked_at() == living.looked_at()
        for bench in (dying, living):
            bench.ledger.close()
