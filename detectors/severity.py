"""From evidence to score and severity, in one place.

The score is 100 / (1 + exp(-e / 3)) of the joint log odds e: 50 is even odds, each further three log
odds bring it closer to 100.  So it stands for a probability, whose odds are the cube of score /
(100 - score): 67.5 for 0.9, 82.2 for 0.99.  It never falls when evidence rises, and no severity falls when
it rises.
"""

import numpy as np

from detectors.kernels.budget import CLOCK_WIDTH, DAYS, budget_thresholds
from detectors.kernels.histogram import BINS
from detectors.settings import DetectionSettings
from detectors.state import State, Table
from detectors.types import Codes, Floats, Times
from txwatch.model import Severity

_SCALE = 3.0


def score_of(log_odds: Floats) -> Floats:
    """Return the score, 0 to 100, of joint log odds."""
    return 100.0 / (1.0 + np.exp(-log_odds / _SCALE))


def log_odds_of(score: float) -> float:
    """Return the joint log odds that have this score."""
    share = min(max(score / 100.0, 1e-9), 1.0 - 1e-9)
    return float(_SCALE * np.log(share / (1.0 - share)))


def probability_of(score: Floats) -> Floats:
    """Return the probability, 0 to 1, of being an anomaly that a score stands for."""
    odds = (score / (100.0 - np.minimum(score, 100.0 - 1e-9))) ** _SCALE
    return odds / (1.0 + odds)


def score_at(probability: float) -> float:
    """Return the score that stands for a probability, which lies between 0 and 1."""
    return float(score_of(np.log(probability / (1.0 - probability))))


class Grading:
    """Which scores are anomalies, and how severe."""

    def __init__(self, settings: DetectionSettings) -> None:
        self._settings = settings
        self.state = State(
            days=Table("", (BINS,), rows_each=DAYS), clock=Table("", (), rows_each=CLOCK_WIDTH)
        )

    def thresholds(self, times: Times, log_odds: Floats) -> Floats:
        """Return the score from which on each row is an anomaly, by rows before it alone."""
        fixed = self._fixed()
        if fixed is not None:
            return np.full(len(times), fixed)
        out = np.empty(len(times))
        budget = self._settings.budget_per_day
        budget_thresholds(times, log_odds, self.state["days"], self.state["clock"], budget, out)
        return np.maximum(score_of(out), self._settings.lowest_threshold)

    def _fixed(self) -> float | None:
        probability = self._settings.threshold_probability
        return self._settings.threshold if probability is None else score_at(probability)

    def severities(self, score: Floats, threshold: Floats) -> Codes:
        """Return the severity of each score, 0 below the threshold."""
        at = self._settings.severity
        level = np.full(len(score), int(Severity.LOW), dtype=np.int8)
        for severity, least in (
            (Severity.MEDIUM, at.medium),
            (Severity.HIGH, at.high),
            (Severity.CRITICAL, at.critical),
        ):
            level[score >= least] = int(severity)
        level[score < threshold] = 0
        return level
