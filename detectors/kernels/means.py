"""What an entity usually pays: its own mean, shrunk to its population's, never moved far by one row."""

from typing import Final

import numpy as np

from detectors.kernels.compiled import kernel
from detectors.types import Floats, Rows32

MEAN_SUM: Final = 0
MEAN_COUNT: Final = 1
MEAN_WIDTH: Final = 2

CLIP: Final = 3.0
"""A value counts as at most this many times what was expected."""

_PRIOR: Final = 3.0
_KEEP: Final = 150.0


@kernel
def shrunk_mean(
    values: Floats,
    entity: Rows32,
    group: Rows32,
    learn: Floats,
    states: Floats,
    groups: Floats,
    out: Floats,
) -> None:
    """Return what each entity usually pays before each row, then learn the row.

    Args:
        values: shape (n,); not positive or NaN is not learnt.
        entity: shape (n,).
        group: shape (n,); the population.
        learn: shape (n,); 1 to learn the value.
        states: shape (entities, MEAN_WIDTH); updated.
        groups: shape (groups, MEAN_WIDTH); updated.
        out: shape (n,); NaN while nothing is known of the population.
    """
    for i in range(values.size):
        own = states[entity[i]]
        everyone = groups[group[i]]
        out[i] = np.nan
        if everyone[MEAN_COUNT] > 0.0:
            common = everyone[MEAN_SUM] / everyone[MEAN_COUNT]
            out[i] = (_PRIOR * common + own[MEAN_SUM]) / (_PRIOR + own[MEAN_COUNT])
        if learn[i] > 0.0 and values[i] > 0.0:
            value = min(values[i], CLIP * out[i]) if out[i] > 0.0 else values[i]
            add_to_mean(own, value, 1.0, _KEEP)
            add_to_mean(everyone, value, 1.0, 100_000.0)


@kernel
def add_to_mean(mean: Floats, value: float, weight: float, keep: float) -> None:
    """Add a weighted value; beyond `keep` rows the older ones fade."""
    mean[MEAN_SUM] += value
    mean[MEAN_COUNT] += weight
    if mean[MEAN_COUNT] > keep:
        mean[MEAN_SUM] *= keep / mean[MEAN_COUNT]
        mean[MEAN_COUNT] = keep
