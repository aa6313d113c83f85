"""Shapes never seen before: the distance of the last rows to the most similar earlier stretch."""

import numpy as np

from detectors.series.method import Floats, Record, Records, Times
from detectors.series.serieskernel import kernel

MEMORY = 2000
RING = 2304
REFRESH = 256

STATE = np.dtype(
    [("rows", np.int64), ("past", np.float64, (2 * RING,)), ("distance", np.float64, (MEMORY + 1,))],
    align=True,
)


class Shape:
    """Mean absolute difference of the last `length` rows to the nearest stretch of the last 2000 rows.

    Sees a rhythm that breaks, a missing peak, a plateau, a value that never occurred: anything that no
    earlier stretch resembles.  Blind to what has happened before, and for the first three lengths.
    The left matrix profile in its plainest form (Yeh et al., "Matrix Profile I", ICDM 2016), with
    absolute differences, unnormalised, and a bounded memory.  Unit of the statistic: that of the value.

    Args:
        length: rows of the stretch, at most 200.
    """

    def __init__(self, length: int) -> None:
        self.name = f"shape_{length}"
        self.length = length
        self.state: Records = np.zeros(1, STATE)

    def step(self, times_ms: Times, values: Floats) -> Floats:  # noqa: ARG002 - counts rows, not time
        """Return the distance to the nearest earlier stretch that does not overlap, shape (n,)."""
        out = np.full(len(values), np.nan)
        _advance(self.state, values, self.length, out)
        return out


@kernel
def _advance(state: Records, values: Floats, length: int, out: Floats) -> None:
    s: Record = state[0]
    for i in range(len(values)):
        # Written twice, the last RING values always lie in one piece, the newest at `at`.
        at = s.rows % RING + RING
        s.past[at] = s.past[at - RING] = values[i]
        s.rows += 1
        # Sums that are only ever corrected drift; starting afresh now and then keeps zero a zero.
        if s.rows % REFRESH == 0:
            _refresh(s, at, length)
        else:
            _move(s, at, length)
        if s.rows > 3 * length:
            out[i] = _nearest(s, length) / length


@kernel
def _move(s: Record, at: int, length: int) -> None:
    """Move all distances one row on: add the newest pair, drop the pair that leaves the stretch."""
    past, distance = s.past, s.distance
    newest = s.rows - 1
    for lag in range(length, min(MEMORY, newest) + 1):
        distance[lag] += abs(past[at] - past[at - lag])
    leaving = at - length
    for lag in range(length, min(MEMORY, newest - length) + 1):
        distance[lag] -= abs(past[leaving] - past[leaving - lag])


@kernel
def _refresh(s: Record, at: int, length: int) -> None:
    past, distance = s.past, s.distance
    newest = s.rows - 1
    for lag in range(length, min(MEMORY, newest) + 1):
        total = 0.0
        for back in range(min(length, newest - lag + 1)):
            total += abs(past[at - back] - past[at - back - lag])
        distance[lag] = total


@kernel
def _nearest(s: Record, length: int) -> float:
    distance = s.distance
    best = np.inf
    for lag in range(length, min(MEMORY, s.rows - length) + 1):
        best = min(best, distance[lag])
    return max(best, 0.0)
