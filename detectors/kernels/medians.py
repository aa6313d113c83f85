"""Median and spread of an entity's last values, exactly, from a short sorted window."""

from typing import Final

import numpy as np

from detectors.kernels.compiled import kernel
from detectors.types import Floats, Rows32

WINDOW: Final = 31
COUNT: Final = 2 * WINDOW
WIDTH: Final = 2 * WINDOW + 1
"""Columns of the state: the values in order of arrival (a ring), the same sorted, how many ever."""

_FULL: Final = 16_000_000
"""float32 counts no further; the count falls back by whole windows."""


@kernel
def running_median(
    values: Floats,
    entity: Rows32,
    learn: Floats,
    states: Floats,
    with_spread: int,
    count: Floats,
    median: Floats,
    spread: Floats,
) -> None:
    """Return what each entity's past says before each row, then learn the row.

    Args:
        values: shape (n,).
        entity: shape (n,).
        learn: shape (n,); 1 to learn the value.
        states: shape (entities, WIDTH), float32; updated.
        with_spread: 1 to measure the spread too.
        count: shape (n,); values learnt so far.
        median: shape (n,); of the last WINDOW values, NaN before the first.
        spread: shape (n,); 1.4826 times the median absolute deviation of the same values.
    """
    for i in range(values.size):
        state = states[entity[i]]
        count[i] = state[COUNT]
        held = min(int(state[COUNT]), WINDOW)
        ordered = state[WINDOW : WINDOW + held]
        median[i] = _middle(ordered)
        if with_spread == 1:
            spread[i] = 1.4826 * _deviation(ordered, median[i])
        if learn[i] > 0.0:
            _replace(state, held, values[i])


@kernel
def _middle(ordered: Floats) -> float:
    if ordered.size == 0:
        return np.nan
    half = ordered.size // 2
    if ordered.size % 2 == 1:
        return float(ordered[half])
    return 0.5 * (float(ordered[half - 1]) + float(ordered[half]))


@kernel
def _deviation(ordered: Floats, middle: float) -> float:
    """Return the median distance from the middle, walking the sorted values from both ends inwards."""
    left = 0
    right = ordered.size - 1
    distance = 0.0
    for _ in range(ordered.size - ordered.size // 2):
        low = middle - ordered[left]
        high = ordered[right] - middle
        distance = max(low, high)
        if low >= high:
            left += 1
        else:
            right -= 1
    return distance


@kernel
def _replace(state: Floats, held: int, value: float) -> None:
    """Put the value in place of the oldest, keeping the second half of the state sorted."""
    slot = int(state[COUNT]) % WINDOW
    place = held
    if held == WINDOW:
        place = 0
        while state[WINDOW + place] != state[slot]:
            place += 1
    state[slot] = value
    kept = state[slot]
    while place > 0 and state[WINDOW + place - 1] > kept:
        state[WINDOW + place] = state[WINDOW + place - 1]
        place -= 1
    top = min(held, WINDOW - 1)
    while place < top and state[WINDOW + place + 1] < kept:
        state[WINDOW + place] = state[WINDOW + place + 1]
        place += 1
    state[WINDOW + place] = kept
    state[COUNT] += 1.0
    if state[COUNT] >= _FULL:
        state[COUNT] -= 100_000 * WINDOW
