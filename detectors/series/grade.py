"""From the evidence of a series to the log odds and the score that all detectors share."""

import numpy as np

from detectors.series.method import Floats
from detectors.series.thresholds import EVIDENCE_THRESHOLD
from detectors.settings import Severities
from detectors.severity import log_odds_of, score_of

TRUST = 0.5 * np.log(10.0)
"""Log odds for each further power of ten.  Half of its face value: beyond what a series has shown, the
tail is extrapolated."""


def log_odds(evidence: Floats) -> Floats:
    """Return log odds, even at the default threshold; nan stays nan."""
    return np.asarray(TRUST * (evidence - EVIDENCE_THRESHOLD))


def hundreds(evidence: Floats) -> Floats:
    """Map evidence (minus log10 of the tail probability) to scores of 0 to 100; nan stays nan."""
    return np.asarray(score_of(np.minimum(log_odds(evidence), 1000.0)))


def steps(at: Severities) -> tuple[float, float, float]:
    """Return the evidence at which a series is medium, high and critical.

    With the default severities: one in 10^6.6, 10^9.5 and 10^14.
    """
    medium, high, critical = (
        EVIDENCE_THRESHOLD + log_odds_of(score) / float(TRUST) for score in (at.medium, at.high, at.critical)
    )
    return medium, high, critical
