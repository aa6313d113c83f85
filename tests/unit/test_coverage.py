"""Coverage: what became of each window for each detector, what was not evaluated, and doing it afterwards."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import pytest
from typer.testing import CliRunner

from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import Simulation
from detectors.configuration import read_configuration
from detectors.coverage.filling import Gaps, filled
from detectors.coverage.gaps import seen, stretches
from detectors.detection import Detection, series_of
from txwatch.cli import app
from txwatch.columns import FEED as COLUMNS
from txwatch.columns import TRANSACTION
from txwatch.coverage import FEED, SERIES, WINDOW, State, Tally, added, start_of, state_of
from txwatch.covered import CoverageService
from txwatch.ledger import Ledger
from txwatch.settings import Settings
from txwatch.shipped import rules_path
from txwatch.testing import ManualClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
READ = {FEED: Tally(evaluated=5)}


@pytest.mark.parametrize(
    ("tally", "stored", "state"),
    [
        (Tally(evaluated=5), 5, State.EVALUATED),
        (Tally(evaluated=5, late=1), 5, State.REVISED),
        (Tally(evaluated=2, warming_up=3), 5, State.WARMING_UP),
        (Tally(evaluated=3, warming_up=2), 5, State.EVALUATED),
        (Tally(without=5), 5, State.NO_DATA),
        (Tally(failed=5), 5, State.FAILED),
        (Tally(failed=5, filled=5), 5, State.FILLED),
        (Tally(evaluated=5), 7, State.MISSED),
    ],
)
def test_the_state_of_a_window_follows_from_its_counts(tally, stored, state):
    assert state_of("hours", READ | {"hours": tally}, stored, reached=True) is state


def test_what_nobody_has_come_to_yet_waits():
    assert state_of("hours", {}, 3, reached=False) is State.WAITING
    assert state_of("hours", {}, 0, reached=False) is State.NO_DATA


def test_windows_of_one_state_are_one_stretch_and_silence_interrupts_none():
    """Two detectors in the same stretch share a line; what nobody can have evaluated has its own."""
    cold = {FEED: Tally(evaluated=1), "a": Tally(warming_up=1), "b": Tally(warming_up=1)}
    warm = {FEED: Tally(evaluated=1), "a": Tally(evaluated=1), "b": Tally(evaluated=1)}
    windows = {NOON: cold, NOON + 2 * WINDOW: cold, NOON + 3 * WINDOW: warm}
    stored = dict.fromkeys(windows, 1)

    found = stretches(seen(windows, stored, NOON, NOON + 4 * WINDOW), windows)

    assert [(each.since, each.until, each.state, each.detectors) for each in found] == [
        (NOON, NOON + 3 * WINDOW, State.WARMING_UP, ("a", "b")),
        (NOON + WINDOW, NOON + 2 * WINDOW, State.NO_DATA, ("a", "b")),
    ]


@pytest.fixture(scope="module")
def rows():
    simulation = Simulation(SimulationSettings(seed=3, users=60, merchants=20, days=3, frauds_per_day=4))
    rows = pl.concat([day.transactions for day in simulation.days()])
    return rows.select(
        pl.lit("simulator").alias("source"),
        pl.lit(0, dtype=pl.Int32).alias("partition"),
        pl.int_range(rows.height, dtype=pl.Int64).alias("sequence"),
        pl.int_range(rows.height, dtype=pl.Int64).alias("arrival"),
        *TRANSACTION,
    ).select(*COLUMNS)


@pytest.fixture(scope="module")
def configuration():
    return read_configuration(rules_path(Settings()))


def looked_at(detection: Detection, rows: pl.DataFrame, batch: int):
    """What was counted, wherever the rows are cut."""
    parts = [detection.step(part, lambda: NOON).looked_at for part in rows.iter_slices(batch)]
    return added(parts)


def test_counts_do_not_depend_on_batch_cuts(rows, configuration):
    assert looked_at(Detection.fresh(configuration), rows, 37) == looked_at(
        Detection.fresh(configuration), rows, 500
    )


def test_a_late_row_revises_its_window_and_is_left_out_of_series(rows, configuration):
    """It is counted where it belongs, not where it came."""
    detection = Detection.fresh(configuration)
    looked_at(detection, rows, 500)
    late = rows[200:201].with_columns(
        transaction_id=pl.lit("late"), sequence=pl.lit(10**6), arrival=pl.lit(10**6)
    )

    ((_, window),) = looked_at(detection, late, 1).items()

    assert window["user_amount"].late == 1
    assert window[SERIES] == Tally(late=1)


def test_a_rule_that_fails_is_counted_by_name_and_the_others_go_on(rows, configuration):
    detection = Detection.fresh(configuration)
    looked_at(detection, rows[:100], 100)
    detection._rulebook._set_aside[0] = "ZeroDivisionError: division by zero"
    failed = detection._rulebook.rules[0].spec.id

    counted = looked_at(detection, rows[100:130], 30)
    total = sum((window.get(f"rule {failed}", Tally()) for window in counted.values()), Tally())

    assert total == Tally(failed=30)
    assert sum(window.get("rules", Tally()).evaluated for window in counted.values()) == 30


def test_what_a_gap_holds_is_what_detection_finds_marked_late(rows, configuration):
    """The second half was missed: its anomalies are found, those of the first half are not told again."""
    half = start_of(rows["timestamp"][rows.height // 2])
    stored = Counter(map(start_of, rows["timestamp"].to_list()))
    windows = {start: {FEED: Tally(evaluated=count)} for start, count in stored.items() if start < half}
    everything = Detection.fresh(configuration).step(rows, lambda: NOON)
    wanted = {a.anomaly_id for a in everything.anomalies if a.kind == "transaction" and a.timestamp >= half}

    found = filled([rows], configuration, Gaps(windows=windows, stored=stored), {}, lambda: NOON, 500)

    assert {each.anomaly_id for each in found.anomalies} == wanted
    assert all(each.late for each in found.anomalies)
    assert found.transactions == sum(count for start, count in stored.items() if start >= half)


def test_series_of_a_gap_are_what_a_detector_without_one_would_have_said(rows, configuration):
    """Counts, bands and events of the missed half, under the numbers that the series have."""
    half = start_of(rows["timestamp"][rows.height // 2])
    last = rows.filter(pl.col("timestamp") > half + 20 * WINDOW)[:1]
    crowd = pl.concat([last] * 300).with_columns(
        transaction_id=pl.format("crowd{}", pl.int_range(300)),
        sequence=pl.int_range(10**6, 10**6 + 300, dtype=pl.Int64),
    )
    rows = pl.concat([rows, crowd.select(rows.columns)]).sort("timestamp", maintain_order=True)
    stored = Counter(map(start_of, rows["timestamp"].to_list()))
    windows = {start: {FEED: Tally(evaluated=count)} for start, count in stored.items() if start < half}
    seen_all = Detection.fresh(configuration)
    everything = seen_all.step(rows, lambda: NOON)
    watched = [*reversed(series_of(seen_all.dump())), "count/nobody"]

    found = filled(
        [rows], configuration, Gaps(windows=windows, stored=stored), {}, lambda: NOON, 500, watched
    )
    events = {each.anomaly_id: each for each in found.anomalies if each.kind == "series"}

    missed = [start for start in stored if start >= half]
    assert found.points == [
        point
        for point in everything.points
        if start_of(point.start) in missed and point.series in watched and point.expected is not None
    ]
    assert events.keys() == {
        each.anomaly_id
        for each in everything.anomalies
        if each.kind == "series" and start_of(each.timestamp) in missed
    }
    assert events
    assert all(each.late and watched[each.sequence] == each.series for each in events.values())
    judged = sum(window.get(SERIES, Tally()).filled for window in found.looked_at.values())
    assert judged == len(found.points)


def test_a_rule_that_failed_is_made_up_for_and_the_anomaly_keeps_what_it_had(rows, configuration):
    """Only that rule's hits are new; an anomaly that was found without it gains it."""
    anomalies = {a.anomaly_id: a for a in Detection.fresh(configuration).step(rows, lambda: NOON).anomalies}
    hit = next(a for a in anomalies.values() if a.rules and a.kind == "transaction")
    rule, start = hit.rules[0], start_of(hit.timestamp)
    stored = Counter(map(start_of, rows["timestamp"].to_list()))
    windows = {each: {FEED: Tally(evaluated=count)} for each, count in stored.items()}
    windows[start] |= {f"rule {rule}": Tally(failed=stored[start])}
    without = msgspec.structs.replace(
        hit, rules=hit.rules[1:], reasons=tuple(r for r in hit.reasons if r.code != rule)
    )
    known = anomalies | {hit.anomaly_id: without}

    found = filled([rows], configuration, Gaps(windows=windows, stored=stored), known, lambda: NOON, 500)
    (again,) = (each for each in found.anomalies if each.anomaly_id == hit.anomaly_id)

    assert set(again.rules) == set(hit.rules)
    assert {each.code for each in again.reasons} == {each.code for each in hit.reasons}
    assert all(rule in each.rules and start_of(each.timestamp) == start for each in found.anomalies)
    assert found.looked_at == {start: {f"rule {rule}": Tally(filled=stored[start])}}


class Copies:
    """Takes copies of windows."""

    def __init__(self):
        self.windows = {}

    def put_coverage(self, windows):
        self.windows |= windows


def test_windows_are_copied_as_they_are_now_and_forgotten_with_the_transactions(tmp_path):
    """Copying goes on after a restart; nothing is copied twice without a change."""
    clock, copies = ManualClock(NOON), Copies()
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock)
    old = NOON - timedelta(days=40)
    ledger.commit_step("detectors", {}, [], {NOON: {"a": Tally(evaluated=1)}, old: {"a": Tally()}})
    service = CoverageService(ledger, clock, timedelta(days=30), copies)
    service.step()
    ledger.commit_step("detectors", {}, [], {NOON: {"a": Tally(evaluated=2)}})
    service.close()
    again = CoverageService(ledger, clock, timedelta(days=30), copies)

    assert copies.windows[NOON] == {"a": Tally(evaluated=3)}
    assert again.step().handled == 0
    assert list(ledger.coverage().between(old, NOON + WINDOW)) == [NOON]
    ledger.close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Three days that `txwatch run` has gone through, and of which two days' coverage is lost."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_bytes(rules_path(Settings()).read_bytes())
    run("simulate", "--output", "payments.jsonl", "--days", "3", "--users", "60", "--seed", "3")
    run("run", "payments.jsonl", "--once")
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def test_what_was_missed_is_evaluated_afterwards_once(home):
    """As after a ledger from a backup: transactions are stored that nobody is known to have evaluated.

    What they hold was found before, so nothing is queued a second time.
    """
    ledger = Ledger.open(f"sqlite:///{home / '.txwatch' / 'ledger.db'}", ManualClock(NOON))
    before = ledger.newest_discovery()
    ledger.coverage().forget(ledger.coverage().newest() - timedelta(days=1))
    lost = run("coverage", "gaps", "--days", "4", code=1)

    said = run("coverage", "fill", "--days", "4")
    left = run("coverage", "gaps", "--days", "4")
    again = run("coverage", "fill", "--days", "4")
    shown = run("coverage", "show", "--days", "4")

    assert "missed      every detector" in lost
    assert "transactions evaluated afterwards and" in said
    assert " 0 windows of series" not in said
    assert "missed" not in left
    assert "filled" in shown
    assert again == "nothing to fill\n"
    assert ledger.newest_discovery() == before
    assert ledger.audited(0, 10**6)[-1].action == "coverage filled"
    ledger.close()
