"""What each declared feature takes from a batch: which rows count, and what they add."""

from collections.abc import Callable

import numpy as np

from detectors.rules.batch import Batch
from detectors.rules.expressions import condition, number
from detectors.rules.features import Feature
from detectors.rules.windows import Input
from detectors.types import Floats

InputOf = Callable[[Batch], Input]


def input_of(feature: Feature) -> InputOf:
    """Return the function from a batch to which rows count and what each adds, both of shape (rows,)."""
    filters = [condition(sql) for sql in feature.filters]
    added = _added(feature)

    def read(batch: Batch) -> Input:
        values = added(batch)
        counted = ~np.isnan(values)
        for holds in filters:
            counted = counted & holds(batch)
        return counted, values

    return read


def _added(feature: Feature) -> Callable[[Batch], Floats]:
    if feature.value is not None:
        return number(feature.value)
    column = feature.column
    if column is not None:
        return lambda batch: batch.codes(column)
    return lambda batch: np.ones(len(batch))
