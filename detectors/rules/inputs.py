"""What each declared feature takes from a batch: which rows count, and what they add."""

from collections.abc import Sequence
from functools import reduce
from operator import and_
from zlib import crc32

import numpy as np
import polars as pl

from detectors.rules.expressions import expression
from detectors.rules.features import Feature
from detectors.rules.windows import Input
from detectors.types import Flags, Floats


class FeatureInputs:
    """The filters and values of all features as one polars selection; equal ones are evaluated once."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = tuple(features)
        self._filters = {_filter_name(f): _filter(f) for f in features if f.filters}
        self._values = {f.value.text: expression(f.value) for f in features if f.value is not None}

    def of(self, frame: pl.DataFrame) -> dict[str, Input]:
        """Return each feature's input, from a frame with prepared columns."""
        selected = frame.select(
            *(built.fill_null(value=False).alias(f"filter {name}") for name, built in self._filters.items()),
            *(built.fill_nan(None).alias(f"value {name}") for name, built in self._values.items()),
        )
        ones = np.ones(frame.height)
        everyone = np.ones(frame.height, np.bool_)
        return {f.name: self._input(f, frame, selected, everyone, ones) for f in self._features}

    def _input(
        self, feature: Feature, frame: pl.DataFrame, selected: pl.DataFrame, everyone: Flags, ones: Floats
    ) -> Input:
        counted = everyone
        if feature.filters:
            counted = _column(selected, f"filter {_filter_name(feature)}", frame.height).to_numpy()
        if feature.value is not None:
            values = _column(selected, f"value {feature.value.text}", frame.height)
            return counted & values.is_not_null().to_numpy(), values.fill_null(0.0).to_numpy()
        if feature.column is not None:
            texts = frame[feature.column]
            return counted & texts.is_not_null().to_numpy(), _codes(texts)
        return counted, ones


def _filter_name(feature: Feature) -> str:
    return " AND ".join(f"({sql.text})" for sql in feature.filters)


def _filter(feature: Feature) -> pl.Expr:
    return reduce(and_, (expression(sql) for sql in feature.filters))


def _column(selected: pl.DataFrame, name: str, height: int) -> pl.Series:
    column = selected[name]
    return column if column.len() == height else column.new_from_index(0, height)


def _codes(texts: pl.Series) -> Floats:
    """Return a number for each text: 32 bits, so that two of 32 values meet once in ten million windows."""
    codes = (0 if text is None else crc32(text.encode()) for text in texts.to_list())
    return np.fromiter(codes, np.float64, count=len(texts))
