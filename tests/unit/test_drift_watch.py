"""Detection watches itself: quiet while the stream stays as it was, and told once when it does not."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from detectors.drift import DriftWatch, upper_twentieth
from detectors.engine import Engine
from detectors.ordinary import stream
from detectors.rows import milliseconds
from detectors.settings import DetectionSettings, Drift, Severities
from txwatch.model import AnomalyType, Severity

NOW = datetime(2026, 3, 2, tzinfo=UTC)
SETTINGS = Drift(window_seconds=4 * 3600, least_payments=100)
DAYS, EACH = 24, 900
CHANGE = 18


@pytest.fixture(scope="module")
def world():
    """24 days of 900 payments."""
    return stream(DAYS * EACH, users=300)


def run(frame: pl.DataFrame, cuts: int = 1000, settings: Drift = SETTINGS, *, restart: bool = False):
    """Return points and anomalies of a watch over a fresh engine."""
    engine, watch = Engine(DetectionSettings()), DriftWatch(settings, Severities())
    points, told = [], []
    for batch in frame.iter_slices(cuts):
        scored = engine.step(batch)
        times = milliseconds(batch["timestamp"])[scored.fresh]
        found = watch.step(times, scored, NOW, engine.versions)
        points += found[0]
        told += found[1]
        if restart:
            kept, watch = watch.state.dump(), DriftWatch(settings, Severities())
            watch.recall(kept)
    return points, told


def changed(frame: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    """Let columns be others from day 18 on."""
    begin = frame["timestamp"][0] + timedelta(days=CHANGE)
    later = pl.col("timestamp") >= begin
    return frame.with_columns(
        **{name: pl.when(later).then(other).otherwise(name) for name, other in columns.items()}
    )


def test_a_stream_that_stays_as_it_was_is_quiet(world):
    points, told = run(world)

    assert told == []
    assert {point.series for point in points} == {
        "drift:scores",
        "drift:anomalies",
        "drift:own baselines",
        "drift:new users",
    }
    assert sum(point.expected is not None for point in points) > len(points) / 4


def test_many_new_users_are_told_once_with_their_share(world):
    new = (
        pl.when(pl.int_range(pl.len()) % 3 == 0).then("new-" + pl.col("transaction_id")).otherwise("user_id")
    )
    _, told = run(changed(world, user_id=new))

    found = {each.entity_id: each for each in told}
    assert "new users" in found
    anomaly = found["new users"]
    assert (anomaly.kind, anomaly.type, anomaly.severity) == ("drift", AnomalyType.DRIFT, Severity.HIGH)
    assert "came from users with fewer than 5 earlier ones" in anomaly.reasons[0].sentence
    assert anomaly.timestamp - world["timestamp"][0] < timedelta(days=CHANGE + 1)


def test_amounts_in_cents_are_told_as_anomalies_and_scores(world):
    """A producer that changes its unit floods; the sentence says how far it is from what is usual."""
    _, told = run(changed(world, amount=pl.col("amount") * 100))

    first = {each.entity_id: each for each in reversed(told)}
    assert {"scores", "anomalies"} <= set(first)
    assert "of 1,000 payments were anomalies" in first["anomalies"].reasons[0].sentence
    assert first["anomalies"].versions["code"]


def test_a_figure_is_told_of_once_a_day_at_most(world):
    _, told = run(changed(world, amount=pl.col("amount") * 100))

    for name in {each.entity_id for each in told}:
        times = sorted(each.timestamp for each in told if each.entity_id == name)
        assert all(then - first >= timedelta(days=1) for first, then in pairwise(times))


@pytest.mark.parametrize("cuts", [97, 640, 30_000])
def test_the_result_does_not_depend_on_batch_cuts(world, cuts):
    frame = changed(world.head(19 * EACH), amount=pl.col("amount") * 100)

    assert run(frame, cuts) == run(frame)


def test_a_restart_changes_nothing(world):
    frame = changed(world.head(19 * EACH), amount=pl.col("amount") * 100)

    assert run(frame, restart=True) == run(frame)


def test_windows_with_few_payments_go_on_until_they_have_enough(world):
    points, _ = run(world.head(2000), settings=Drift(window_seconds=3600, least_payments=500))

    assert points
    assert all(point.seconds > 3600 for point in points)
    assert all(point.seconds % 3600 == 0 for point in points)


def test_another_length_of_windows_begins_anew():
    watch = DriftWatch(SETTINGS, Severities())
    watch.recall(DriftWatch(Drift(window_seconds=3600), Severities()).state.dump())
    watch.recall(DriftWatch(Drift(remember=20), Severities()).state.dump())

    assert not watch.state["seen"].any()


def test_it_may_be_switched_off(world):
    assert run(world.head(3000), settings=Drift(watch=False)) == ([], [])


def test_the_upper_twentieth_is_the_95_percent_quantile():
    scores = np.random.default_rng(1).gamma(2.0, 8.0, 20_000)

    counts = np.histogram(scores, bins=400, range=(0.0, 100.0))[0].astype(float)

    assert upper_twentieth(counts) == pytest.approx(np.quantile(scores, 0.95), abs=0.3)
