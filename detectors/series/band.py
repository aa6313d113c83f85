"""The plainest baseline: a running mean and a band of three standard deviations around it."""

import numpy as np

from detectors.series.method import Floats, Record, Records
from detectors.series.serieskernel import kernel

MEMORY = 288.0
WIDTH = 3.0 * 1.2533
"""Three standard deviations, from a mean absolute deviation."""

STATE = np.dtype([("rows", np.int64), ("mean", np.float64), ("away", np.float64)], align=True)


class Band:
    """What people see where no season is known: mean and spread of about the last 288 rows."""

    def __init__(self) -> None:
        self.state: Records = np.zeros(1, STATE)

    def step(self, values: Floats) -> Floats:
        """Return expected, low and high of each row before it is seen, shape (3, n); nan for the first."""
        out = np.full((3, len(values)), np.nan)
        _advance(self.state, values, out)
        return out


@kernel
def _advance(state: Records, values: Floats, out: Floats) -> None:
    s: Record = state[0]
    for i in range(len(values)):
        if s.rows > 0:
            out[0, i] = s.mean
            out[1, i] = s.mean - WIDTH * s.away
            out[2, i] = s.mean + WIDTH * s.away
        rate = max(1.0 / (s.rows + 1), 1.0 / MEMORY)
        move = values[i] - s.mean
        if s.rows > 0:
            s.away += rate * (abs(move) - s.away)
        s.mean += rate * move
        s.rows += 1
