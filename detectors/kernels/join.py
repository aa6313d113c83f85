"""The joint evidence of several hypotheses: any of them may be true, none dilutes another."""

from math import exp, log

from detectors.kernels.compiled import kernel
from detectors.types import Floats


@kernel
def join(evidence: Floats, out: Floats) -> None:
    """Return the log of the sum of odds, close to the largest evidence.

    Args:
        evidence: shape (n, detectors); log odds.
        out: shape (n,).
    """
    for i in range(evidence.shape[0]):
        largest = evidence[i, 0]
        for k in range(1, evidence.shape[1]):
            largest = max(largest, evidence[i, k])
        total = 0.0
        for k in range(evidence.shape[1]):
            if evidence[i, k] > largest - 30.0:
                total += exp(evidence[i, k] - largest)
        out[i] = largest + log(total)
