"""States are copied between two batches, written aside, and recorded in the order of their copies."""

from datetime import timedelta

import pytest

from detectors.keeping import NOWHERE, Keeping, Kept, Place
from txwatch.errors import StoreBusyError, StoreError
from txwatch.ledger import Ledger
from txwatch.model import Cursor, Partition
from txwatch.testing import AtOnce, ManualClock, WhenTold

HERE = Partition("made up", 0)


class Bench:
    """A ledger, and a keeping whose state is the number of its cursor."""

    def __init__(self, folder, aside):
        self.clock = ManualClock()
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", self.clock)
        self.keeping = Keeping("states", self.ledger, self.clock, aside, at=NOWHERE, every_seconds=10.0)

    def step(self, number, *, after=0.0, idle=False):
        self.clock.advance(timedelta(seconds=after))
        self.keeping.step(at(number), lambda: state(number), idle=idle)

    @property
    def newest(self):
        """The newest state, which is the number of its cursor."""
        found = self.ledger.load_snapshot("states")
        assert found is None or found.cursors == at(int(found.payload)).cursors
        return found and int(found.payload)


def at(number):
    return Place(cursors={HERE: Cursor(number, number)}, act=0)


def state(number):
    return Kept(encode=lambda: [str(number).encode()], version="1")


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path, AtOnce())
    yield made
    made.ledger.close()


@pytest.fixture
def aside():
    return WhenTold()


@pytest.fixture
def slow(tmp_path, aside):
    """A bench whose other thread works when it is told to."""
    made = Bench(tmp_path, aside)
    yield made
    made.ledger.close()


def test_a_state_is_kept_when_it_is_time(bench):
    """Neither before nor twice."""
    bench.step(1, after=9.0)
    bench.step(2, after=1.0)
    bench.step(3, after=1.0)

    assert (bench.newest, bench.keeping.recorded) == (2, 1)


def test_a_state_that_takes_long_to_copy_is_kept_less_often(bench):
    """A second's copy every fifty: whoever comes behind it waits, and is to be one in fifty."""

    def slow():
        bench.clock.advance(timedelta(seconds=1))
        return state(1)

    bench.clock.advance(timedelta(seconds=10))
    bench.keeping.step(at(1), slow, idle=False)
    bench.step(2, after=48.0)
    too_soon = bench.newest
    bench.step(3, after=2.0)
    bench.step(4)

    assert (too_soon, bench.newest) == (1, 3)


def test_a_state_is_kept_after_a_quiet_second(bench):
    """A feed that is read faster than it fills is not quiet: each look at it may find nothing."""
    for number in range(20):
        bench.step(number, after=0.2)
        bench.step(number, after=0.2, idle=True)
    while_it_flows = bench.keeping.recorded
    for _ in range(10):
        bench.step(19, after=0.2, idle=True)

    assert while_it_flows == 0
    assert (bench.newest, bench.keeping.recorded) == (19, 1)


def test_scoring_goes_on_while_a_state_is_written(slow, aside):
    """The cursors that are recorded are those at which the copy was taken."""
    slow.step(1, after=10.0)
    slow.step(2, after=10.0)
    before = slow.newest
    aside.work()
    slow.step(3, after=1.0)

    assert (before, slow.newest) == (None, 1)


def test_the_last_state_waits_for_the_one_on_its_way(bench):
    """They are recorded in the order in which they were taken."""
    bench.step(1, after=10.0)
    bench.keeping.keep_last(at(2), lambda: state(2))

    assert (bench.newest, bench.keeping.recorded) == (2, 2)


def test_the_last_state_is_kept_once(bench):
    """Closing keeps what is newer than the last one, and nothing where there is nothing newer."""
    bench.step(1, after=10.0)
    bench.keeping.keep_last(at(1), lambda: state(1))
    once = bench.keeping.recorded
    bench.keeping.keep_last(at(2), lambda: state(2))

    assert (once, bench.newest, bench.keeping.recorded) == (1, 2, 2)


def test_what_cannot_be_written_is_said_once(tmp_path, slow, aside):
    """The error is raised between two batches; the next state is tried anew."""
    (tmp_path / "snapshots").touch()
    slow.step(1, after=10.0)
    aside.work()
    with pytest.raises(StoreError, match="cannot write a snapshot"):
        slow.step(2, after=1.0)
    (tmp_path / "snapshots").unlink()

    slow.step(3, after=10.0)
    aside.work()
    slow.step(4)

    assert slow.newest == 3


def test_what_a_busy_ledger_does_not_record_is_recorded_later(slow, aside, monkeypatch):
    """A written state is not given up."""
    slow.step(1, after=10.0)
    aside.work()

    def busy(*_):
        raise StoreBusyError("the ledger is being written by another process")

    with monkeypatch.context() as patch:
        patch.setattr(slow.ledger, "record_snapshot", busy)
        with pytest.raises(StoreBusyError):
            slow.step(2)
    slow.step(3)

    assert slow.newest == 1
