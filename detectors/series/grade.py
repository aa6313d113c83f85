"""From the evidence of a series to a score of 0 to 100."""

import numpy as np

from detectors.series.method import Floats

LN_10 = 2.302585092994046
HALF_AT = 4.0


def hundred(evidence: float) -> float:
    """Map evidence (minus log10 of the tail probability) to 0..100, growing.

    50 at one in 10^4, 65 at 10^6, 85 at 10^11, 97 at 10^20: the steps of the default severities.
    """
    return float(100.0 * (1.0 - 2.0 ** (-max(evidence, 0.0) / HALF_AT)))


def hundreds(evidence: Floats) -> Floats:
    """Map many evidences to 0..100, shape (n,); nan stays nan."""
    return np.asarray(100.0 * (1.0 - np.exp2(-np.maximum(evidence, 0.0) / HALF_AT)))


def log_odds(evidence: float) -> float:
    """Return the evidence in natural logarithms, the unit of every detector's own evidence."""
    return evidence * LN_10
