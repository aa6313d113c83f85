"""From evidence to score and severity, in one place.

The score is 100 / (1 + exp(-e / 3)) of the joint log odds e: 50 is even odds, each further three log
odds bring it closer to 100.  It never falls when evidence rises, and no severity falls when it rises.
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


class Grading:
    """Which scores are anomalies, and how severe."""

    def __init__(self, settings: DetectionSettings) -> None:
        self._settings = settings
        self.state = State(
            days=Table("", (BINS,), rows_each=DAYS), clock=Table("", (), rows_each=CLOCK_WIDTH)
        )

    def thresholds(self, times: Times, log_odds: Floats) -> Floats:
        """Return the score from which on each row is an anomaly, by rows before it alone."""
        fixed = self._settings.threshold
        if fixed is not None:
            return np.full(len(times), fixed)
        out = np.empty(len(times))
        budget = self._settings.budget_per_day
        budget_thresholds(times, log_odds, self.state["days"], self.state["clock"], budget, out)
        return np.maximum(score_of(out), self._settings.lowest_threshold)

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
