"""One score of several evidences, and one alarm per event."""

import numpy as np

from detectors.series.method import Floats, Record, Records
from detectors.series.serieskernel import kernel

POWER = 3.0
HALF = 4.0
MARGIN = 0.3
SHORTEST_REST = 20

STATE = np.dtype([("rows", np.int64), ("last", np.int64), ("peak", np.float64)], align=True)


def joined(evidences: Floats) -> Floats:
    """Return the cubic mean-like norm of evidences, shape (methods, n) -> (n,).

    Between a maximum (agreement counts for nothing) and a sum (a loud method is diluted by quiet ones):
    the largest evidence rules, and a second one of the same size adds a quarter.
    """
    return np.asarray((np.maximum(evidences, 0.0) ** POWER).sum(axis=0) ** (1.0 / POWER))


def score(evidence: Floats) -> Floats:
    """Map evidence in powers of ten to 0..1, growing; one in ten thousand is 0.5."""
    return np.asarray(evidence / (evidence + HALF))


class Emission:
    """Lets through only what beats the last alarm clearly, until a rest period is over.

    An event that lasts keeps its first alarm; a row passes again only if it is stranger by 0.3 (twice
    as rare) or after the rest.  The rest grows with the past, a tenth of the rows seen, from 20 rows
    to `longest`: a young baseline is corrected sooner.

    Args:
        longest: rows of the longest rest.
    """

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.state: Records = np.zeros(1, STATE)

    def step(self, evidence: Floats) -> Floats:
        """Return the evidence where it passes and zero elsewhere, shape (n,)."""
        out = np.zeros(len(evidence))
        _advance(self.state, evidence, self.longest, out)
        return out


@kernel
def _advance(state: Records, evidence: Floats, longest: int, out: Floats) -> None:
    s: Record = state[0]
    for i in range(len(evidence)):
        rest = min(max(0.1 * s.rows, SHORTEST_REST), longest)
        if s.rows - s.last > rest:
            s.peak = 0.0
        if evidence[i] > (s.peak + MARGIN if s.peak > 0 else 0.0):
            out[i] = evidence[i]
            s.peak = evidence[i]
            s.last = s.rows
        s.rows += 1
