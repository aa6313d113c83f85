"""The detector scores every row of the feed once, writes before it commits, and replays after a crash."""

from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import pytest

from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import Simulation
from detectors.configuration import read_configuration
from detectors.detection import Detection
from detectors.keeping import NOWHERE, Place
from detectors.service import CONSUMER, DetectorService
from detectors.splitting import split_at
from txwatch.columns import TRANSACTION
from txwatch.coverage import FEED, RULES, SERIES, Tally, added
from txwatch.errors import SnapshotError, StoreBusyError
from txwatch.ledger import Ledger
from txwatch.model import Cursor, Partition
from txwatch.ports import AnomalyQuery
from txwatch.settings import Settings
from txwatch.shipped import rules_path
from txwatch.testing import AtOnce, ManualClock, MemoryStore

HERE = Partition("simulator", 0)
START = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def rows():
    """Four simulated days with their place in a feed."""
    days = Simulation(SimulationSettings(seed=3, users=300, merchants=60, days=4, frauds_per_day=8)).days()
    rows = pl.concat([day.transactions for day in days])
    return rows.select(
        pl.lit("simulator").alias("source"),
        pl.lit(0, dtype=pl.Int32).alias("partition"),
        pl.int_range(rows.height, dtype=pl.Int64).alias("sequence"),
        *TRANSACTION,
    )


@pytest.fixture(scope="module")
def configuration():
    return read_configuration(rules_path(Settings()), window_seconds=3600)


class Bench:
    """A store with the rows in it, a ledger, and detectors opened as the command line does."""

    def __init__(self, folder, rows, configuration):
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.store.append(rows)
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", self.clock)
        self.configuration = configuration

    def open(self) -> DetectorService:
        kept = self.ledger.load_snapshot(CONSUMER)
        fresh = Detection.fresh(self.configuration)
        detection = Detection.restored(self.configuration, kept.payload) if kept else fresh
        at = Place(cursors=kept.cursors, act=kept.act) if kept else NOWHERE
        return DetectorService(
            self.store, self.ledger, detection, self.clock, at=at, aside=AtOnce(), batch=400
        )

    def found(self):
        return {
            a.anomaly_id: msgspec.structs.replace(a, detected_at=a.timestamp, arrived_at=None)
            for a in self.store.anomalies(AnomalyQuery(limit=None))
        }

    def looked_at(self):
        return self.ledger.coverage().between(START, START + timedelta(days=3650))

    def queued(self):
        return [entry.anomaly_id for entry in self.ledger.discovered(0, 100_000)]


def finish(service: DetectorService) -> None:
    while service.step().handled:
        pass
    service.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, rows, configuration):
    bench = Bench(tmp_path_factory.mktemp("undisturbed"), rows, configuration)
    finish(bench.open())
    return bench


def test_every_row_is_scored_and_found_anomalies_are_queued(undisturbed, rows):
    """Cursors end at the last row; store and queue name the same anomalies."""
    last = undisturbed.ledger.cursors(CONSUMER)[HERE]

    assert last.sequence == rows.height - 1
    assert len(undisturbed.found()) > 10
    assert set(undisturbed.queued()) == set(undisturbed.found())


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_detector_that_vanishes_is_replayed_to_the_same_anomalies(
    tmp_path, rows, configuration, undisturbed, steps
):
    """No snapshot was taken since the start: all is scored again, nothing is written or queued twice."""
    bench = Bench(tmp_path, rows, configuration)
    vanished = bench.open()
    for _ in range(steps):
        vanished.step()

    second = bench.open()
    finish(second)

    assert second.health().figures["replayed_total"] == steps * 400
    assert bench.found() == undisturbed.found()
    assert sorted(bench.queued()) == sorted(undisturbed.queued())
    assert bench.looked_at() == undisturbed.looked_at()


def test_each_detector_meets_each_transaction_once(undisturbed, rows):
    """What it could evaluate, could not yet, and has nothing to look at in, are all of them."""
    counted = added({start: window} for start, window in undisturbed.looked_at().items())
    total = {
        name: sum((window.get(name, Tally()) for window in counted.values()), Tally())
        for name in {name for window in counted.values() for name in window} - {SERIES}
    }

    assert total.pop(FEED) == Tally(evaluated=rows.height)
    assert total.pop(RULES).evaluated == rows.height
    assert {t.evaluated + t.warming_up + t.without for t in total.values()} == {rows.height}
    assert total["forest"].warming_up >= 2000
    assert total["user_amount"].warming_up == 500


def test_a_detector_that_was_closed_replays_nothing(tmp_path, rows, configuration, undisturbed):
    """Closing keeps the state; the next one goes on with it."""
    bench = Bench(tmp_path, rows, configuration)
    first = bench.open()
    first.step()
    first.close()

    second = bench.open()
    finish(second)

    assert second.health().figures["replayed_total"] == 0
    assert bench.found() == undisturbed.found()


class AwayOnce(MemoryStore):
    """A store that refuses one write of anomalies."""

    away = True

    def put_anomalies(self, anomalies):
        if self.away:
            self.away = False
            raise StoreBusyError("gave up after waiting")
        super().put_anomalies(anomalies)


def away_bench(folder, rows, configuration):
    bench = Bench(folder, rows, configuration)
    bench.store = AwayOnce(bench.clock)
    bench.store.append(rows)
    return bench


def step_until_away(service: DetectorService):
    """What the refused step said."""
    progress = service.step()
    while not progress.waiting:
        progress = service.step()
    return progress


def test_a_step_that_the_store_refused_is_taken_again(tmp_path, rows, configuration, undisturbed):
    """The same detector waits, says so, goes on, and nothing is lost."""
    bench = away_bench(tmp_path, rows, configuration)
    service = bench.open()
    waited = step_until_away(service)
    away = service.health()
    finish(service)

    assert waited.waiting
    assert (away.state, "gave up after waiting" in away.sentence) == ("degraded", True)
    assert service.health().state == "ok"

    assert bench.found() == undisturbed.found()
    assert sorted(bench.queued()) == sorted(undisturbed.queued())


def test_a_detector_that_ends_after_a_refused_write_loses_nothing(tmp_path, rows, configuration, undisturbed):
    """Closing keeps no state that is ahead of what was written."""
    bench = away_bench(tmp_path, rows, configuration)
    first = bench.open()
    step_until_away(first)
    first.close()

    finish(bench.open())

    assert bench.found() == undisturbed.found()
    assert sorted(bench.queued()) == sorted(undisturbed.queued())


def test_a_snapshot_of_something_else_is_refused(configuration):
    """One sentence instead of wrong scores."""
    with pytest.raises(SnapshotError, match="another version"):
        Detection.restored(configuration, b"not a snapshot")


def test_rows_beyond_the_committed_cursors_are_new(rows):
    """The committed part is a prefix of one partition."""
    feed = rows[:10].with_columns(arrival=pl.int_range(10, dtype=pl.Int64))

    parts = split_at(feed, {HERE: Cursor(3, 3)})

    assert [(part.height, known) for part, known in parts] == [(4, True), (6, False)]
    assert split_at(feed[:0], {}) == []


def test_what_is_new_in_one_partition_does_not_make_another_new(rows):
    """Rows of a partition that came to light late lie between known ones: only they are scored as new."""
    partition = pl.Series([0, 1, 0, 1, 0, 0, 1, 0, 0, 0], dtype=pl.Int32)
    feed = rows[:10].with_columns(arrival=pl.int_range(10, dtype=pl.Int64), partition=partition)

    (known, is_known), (new, is_new_known) = split_at(feed, {HERE: Cursor(7, 7)})

    assert (is_known, is_new_known) == (True, False)
    assert known["sequence"].to_list() == [0, 2, 4, 5, 7]
    assert new["sequence"].to_list() == [1, 3, 6, 8, 9]
