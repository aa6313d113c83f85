"""Jumps: how far the value moved within two rows."""

import numpy as np

from detectors.series.method import Floats, Record, Records, Times
from detectors.series.serieskernel import kernel

LAG = 2

STATE = np.dtype([("rows", np.int64), ("ring", np.float64, (LAG,))], align=True)


class Jump:
    """x[i] - x[i-2]: a jump, and the second row of a steep ramp.

    Sees spikes, drops to zero and edges of level shifts, whatever the level.  Blind to everything slow.
    A lag of two keeps a jump that takes two rows whole.  Unit of the statistic: that of the value.

    >>> Jump().step(np.arange(4), np.array([1.0, 1.0, 1.0, 9.0])).tolist()
    [nan, nan, 0.0, 8.0]
    """

    name = "jump"

    def __init__(self) -> None:
        self.state: Records = np.zeros(1, STATE)

    def step(self, times_ms: Times, values: Floats) -> Floats:  # noqa: ARG002 - counts rows, not time
        """Return the signed move over two rows, shape (n,)."""
        out = np.full(len(values), np.nan)
        _advance(self.state, values, out)
        return out


@kernel
def _advance(state: Records, values: Floats, out: Floats) -> None:
    s: Record = state[0]
    ring = s.ring
    for i in range(len(values)):
        place = s.rows % LAG
        if s.rows >= LAG:
            out[i] = values[i] - ring[place]
        ring[place] = values[i]
        s.rows += 1
