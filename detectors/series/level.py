"""Level changes: the mean of the last rows against the mean of the rows before them."""

import math

import numpy as np

from detectors.series.method import Floats, Record, Records, Times
from detectors.series.serieskernel import kernel

RECENT = 48
BEFORE = 288
RING = RECENT + BEFORE

STATE = np.dtype([("rows", np.int64), ("ring", np.float64, (RING,))], align=True)


class Level:
    """Mean of the last 48 rows minus the mean of the up to 288 rows before those.

    Sees level shifts, long surges and drops, and days that are unlike yesterday.  Blind to what lasts
    a few rows, and in a series with a strong daily season to shifts smaller than the season's swing
    (the profile is for those).  Unit of the statistic: that of the value.
    """

    name = "level"

    def __init__(self) -> None:
        self.state: Records = np.zeros(1, STATE)

    def step(self, times_ms: Times, values: Floats) -> Floats:  # noqa: ARG002 - counts rows, not time
        """Return the difference of the two means, shape (n,)."""
        out = np.full(len(values), np.nan)
        _advance(self.state, values, out)
        return out

    def reference(self) -> tuple[float, float]:
        """Return mean and standard deviation of the remembered rows: the plainest baseline; nan if none."""
        count = min(int(self.state["rows"][0]), RING)
        seen = self.state["ring"][0][:count]
        return (float(seen.mean()), float(seen.std())) if count else (math.nan, math.nan)


@kernel
def _advance(state: Records, values: Floats, out: Floats) -> None:
    s: Record = state[0]
    for i in range(len(values)):
        s.ring[s.rows % RING] = values[i]
        s.rows += 1
        before = min(s.rows, RING) - RECENT
        if before >= RECENT:
            out[i] = _mean(s, 0, RECENT) - _mean(s, RECENT, before)


@kernel
def _mean(s: Record, skip: int, count: int) -> float:
    """Mean of the `count` rows that end `skip` rows before the newest."""
    total = 0.0
    for back in range(skip + 1, skip + count + 1):
        total += s.ring[(s.rows - back) % RING]
    return total / count
