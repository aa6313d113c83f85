"""Volatility: how restless the series is, on a log scale."""

import math

import numpy as np

from detectors.series.method import Floats, Record, Records, Times
from detectors.series.serieskernel import kernel

WINDOW = 144
RING = WINDOW + 1

STATE = np.dtype([("rows", np.int64), ("ring", np.float64, (RING,))], align=True)


class Volatility:
    """Log of the mean squared step from row to row over the last 144 rows.

    Sees a series that becomes noisy, and one that falls still (a stuck sensor, a flat line where there
    was a rhythm).  Blind to the level, and for the first 145 rows.  A relative floor keeps a constant
    series finite.  No unit.
    """

    name = "volatility"

    def __init__(self) -> None:
        self.state: Records = np.zeros(1, STATE)

    def step(self, times_ms: Times, values: Floats) -> Floats:  # noqa: ARG002 - counts rows, not time
        """Return the log of the mean squared step, shape (n,)."""
        out = np.full(len(values), np.nan)
        _advance(self.state, values, out)
        return out


@kernel
def _advance(state: Records, values: Floats, out: Floats) -> None:
    s: Record = state[0]
    for i in range(len(values)):
        s.ring[s.rows % RING] = values[i]
        s.rows += 1
        if s.rows > WINDOW:
            out[i] = math.log(_mean_squared_step(s) + 1e-12 + 1e-6 * values[i] * values[i])


@kernel
def _mean_squared_step(s: Record) -> float:
    total = 0.0
    newer = s.ring[(s.rows - 1) % RING]
    for back in range(2, WINDOW + 2):
        older = s.ring[(s.rows - back) % RING]
        total += (newer - older) * (newer - older)
        newer = older
    return total / WINDOW
