"""Score and severity only ever move together, and the budget holds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.settings import DetectionSettings
from detectors.severity import Grading, log_odds_of, score_of

odds = st.floats(-20.0, 40.0)


@given(left=odds, right=odds)
def test_the_score_never_falls_when_the_evidence_rises(left, right):
    low, high = sorted((left, right))

    assert score_of(np.array([low])) <= score_of(np.array([high]))


@given(left=st.floats(0.0, 100.0), right=st.floats(0.0, 100.0), threshold=st.floats(0.0, 100.0))
def test_no_severity_falls_when_the_score_rises(left, right, threshold):
    scores = np.sort(np.array([left, right]))

    low, high = Grading(DetectionSettings()).severities(scores, np.full(2, threshold))

    assert low <= high


@given(score=st.floats(0.01, 99.99))
def test_log_odds_of_a_score_give_the_score_back(score):
    assert abs(score_of(np.array([log_odds_of(score)]))[0] - score) < 1e-6


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), budget=st.integers(5, 60))
def test_the_threshold_keeps_the_budget_whatever_the_scores_look_like(seed, budget):
    """A day's alerts are close to the budget after the first week."""
    rng = np.random.default_rng(seed)
    days, per_day = 30, 2000
    times = (np.arange(days * per_day) * (86_400_000 // per_day)).astype(np.int64) + 86_400_000
    evidence = -6.0 + rng.gamma(2.0, 1.5, len(times))
    settings_ = DetectionSettings(budget_per_day=float(budget), lowest_threshold=0.0)

    thresholds = Grading(settings_).thresholds(times, evidence)

    alerts = (score_of(evidence) >= thresholds).reshape(days, per_day).sum(axis=1)[8:]
    assert abs(alerts.mean() - budget) < 0.2 * budget + 2.0
