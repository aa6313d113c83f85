"""One series, scored: what happens at the edges."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from detectors.series.join import HALF, Emission, joined, score
from detectors.series.local_time import local_ms
from detectors.series.scorer import ScorerSettings, SeriesScorer
from detectors.series.thresholds import FINE_SCORE_THRESHOLD, SCORE_THRESHOLD
from txwatch.errors import SnapshotError

MINUTE = 60_000
MONDAY = 1_741_564_800_000


def temperature(rows, seed=3):
    """A slow wave with noise, a row every five minutes."""
    at = np.arange(rows)
    noise = np.random.default_rng(seed).normal(0, 1, rows)
    return MONDAY + at * 5 * MINUTE, 50 + 10 * np.sin(at / 46) + noise


def counts(days, mean=20.0, seed=4):
    minutes = np.arange(days * 1440)
    rate = mean * (1 + 0.6 * np.sin(2 * np.pi * minutes / 1440))
    return MONDAY + minutes * MINUTE, np.random.default_rng(seed).poisson(rate).astype(float)


def test_an_empty_series_and_a_single_point_have_scores():
    """No row, no score; one row, score zero."""
    scorer = SeriesScorer()

    assert scorer.step(np.array([], np.int64), np.array([])).score.tolist() == []
    assert scorer.step(np.array([MONDAY]), np.array([5.0])).score.tolist() == [0.0]


def test_a_constant_series_scores_zero_until_it_moves():
    """Nothing happens for 500 rows, then something does."""
    times, _ = temperature(600)
    values = np.full(600, 3.0)
    values[500] = 4.0

    scores = SeriesScorer().step(times, values).score

    assert scores[:500].max() < SCORE_THRESHOLD
    assert int(scores.argmax()) == 500
    assert scores[500] >= 0.4


def test_a_missing_value_scores_zero_and_teaches_nothing():
    """Rows without a number could as well not be there."""
    times, values = temperature(800)
    holes = values.copy()
    holes[[100, 101, 500]] = (math.nan, math.inf, -math.inf)
    kept = np.isfinite(holes)

    with_holes = SeriesScorer().step(times, holes)
    without = SeriesScorer().step(times[kept], values[kept])

    assert with_holes.score[~kept].tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_array_equal(with_holes.evidence[kept], without.evidence)


def test_a_jump_in_a_slow_wave_is_found():
    """A spike of ten standard deviations scores above the recommended threshold, at once."""
    times, values = temperature(2000)
    values[1500] += 15

    scores = SeriesScorer().step(times, values).score

    assert scores[1500] >= SCORE_THRESHOLD


@pytest.mark.parametrize(
    ("begin", "end", "factor", "within"),
    [(600, 603, 4.0, 2), (600, 720, 1.6, 15), (600, 615, 0.05, 5), (500, 620, 0.6, 30)],
    ids=["spike", "surge", "dropout", "drop"],
)
def test_events_in_counts_are_found_in_minutes(begin, end, factor, within):
    """Spike, surge, dropout and drop on day 16 pass the threshold within so many minutes."""
    times, values = counts(17)
    rows = slice(16 * 1440 + begin, 16 * 1440 + end)
    values[rows] = np.random.default_rng(5).poisson(values[rows] * factor)

    scores = SeriesScorer().step(times, values).score

    assert scores[16 * 1440 + begin :][: within + 1].max() >= FINE_SCORE_THRESHOLD


def test_quiet_counts_stay_below_the_threshold():
    """Plain Poisson counts, third and fourth week: less than one false alarm in two days."""
    times, values = counts(28)

    scores = SeriesScorer().step(times, values).score[14 * 1440 :]

    above = np.flatnonzero(scores >= FINE_SCORE_THRESHOLD)
    assert (np.diff(above, prepend=-100) > 30).sum() < 7


def test_the_band_of_counts_follows_the_season():
    """After two weeks nine in ten rows lie between low and high, at night as by day."""
    times, values = counts(16)

    scored = SeriesScorer().step(times, values)
    inside = (scored.low <= values) & (values <= scored.high)

    assert inside[14 * 1440 :].mean() > 0.97
    assert np.corrcoef(scored.expected[14 * 1440 :], values[14 * 1440 :])[0, 1] > 0.8


def test_a_gap_does_not_count_as_silence():
    """After two hours without rows the next row is judged by itself."""
    times, values = counts(16)
    times[15 * 1440 :] += 120 * MINUTE

    evidence = SeriesScorer().step(times, values).evidence

    assert evidence[15 * 1440] < 3.0


def test_a_restored_scorer_goes_on_where_the_dumped_one_stood():
    """Cut anywhere, even before the sampling interval is known."""
    times, values = counts(3)
    whole = SeriesScorer().step(times, values).score
    for cut in (0, 5, 65, 1500, 3000):
        first, second = SeriesScorer(), SeriesScorer()
        first.step(times[:cut], values[:cut])

        second.restore(first.dump())

        np.testing.assert_array_equal(second.step(times[cut:], values[cut:]).score, whole[cut:])


def test_a_dump_of_another_version_is_refused():
    """A missing field is said, not guessed."""
    kept = SeriesScorer().dump()
    del kept["jump.ring"]

    with pytest.raises(SnapshotError, match=r"jump\.ring"):
        SeriesScorer().restore(kept)


def test_the_season_keeps_its_hours_through_a_clock_change():
    """Ten o'clock in Berlin is ten o'clock before and after the clocks go forward."""
    before = datetime(2025, 3, 29, 9, 0, tzinfo=UTC)
    after = datetime(2025, 3, 30, 8, 0, tzinfo=UTC)
    times = np.array([round(t.timestamp() * 1000) for t in (before, after)])

    clock = local_ms(times, "Europe/Berlin")

    assert (clock % 86_400_000 // 3_600_000).tolist() == [10, 10]


def test_a_series_through_a_clock_change_raises_nothing():
    """Counts that follow a clock in Berlin give no alarm on the day it changes."""
    minutes = np.arange(24 * 1440)
    times = MONDAY + minutes * MINUTE
    hour = local_ms(times, "Europe/Berlin") % 86_400_000 / 3_600_000
    busy = 30 * np.where((hour >= 8) & (hour < 19), 1.0, 0.1)
    values = np.random.default_rng(6).poisson(busy).astype(float)
    change = slice(20 * 1440, 21 * 1440)

    moved = SeriesScorer(ScorerSettings(zone="Europe/Berlin")).step(times, values).evidence[change]
    fixed = SeriesScorer(ScorerSettings(zone="UTC")).step(times, values).evidence[change]

    assert moved.max() < 6.0 < fixed.max()


def test_an_alarm_is_followed_by_rest_unless_it_grows():
    """Within the rest only clearly stranger rows pass."""
    evidence = np.zeros(100)
    evidence[10:14] = (5.0, 5.1, 5.5, 4.0)
    evidence[90] = 4.5

    passed = Emission(longest=50).step(evidence)

    assert np.flatnonzero(passed).tolist() == [10, 12, 90]


def test_joined_evidence_lies_between_maximum_and_sum():
    """Agreement counts for something, a quiet method costs nothing."""
    both = joined(np.array([[4.0, 4.0], [4.0, 0.0]]))

    assert both.tolist() == pytest.approx([4.0 * 2 ** (1 / 3), 4.0])


def test_the_score_grows_with_the_evidence():
    """From 0 at nothing through one half, below one."""
    scores = score(np.array([0.0, 1.0, HALF, 50.0]))

    assert scores.tolist() == sorted(scores.tolist())
    assert scores[0] == 0.0
    assert scores[2] == 0.5
    assert scores[3] < 1.0
