"""The published columns of a micro-batch: the transaction's own and the built-ins that are read."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import numpy as np
import polars as pl

from detectors.published import PUBLISHED
from detectors.rows import Rows
from detectors.types import Floats
from txwatch.columns import TRANSACTION

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


class Published(msgspec.Struct, frozen=True):
    """What rules and sentences read of n rows."""

    frame: pl.DataFrame
    """Height n; the transaction's own columns, TRANSACTION among them."""
    built_ins: Mapping[str, Floats]
    """Shape (n,); by name, unknown as NaN, flags as 0 and 1."""

    def row(self, i: int) -> dict[str, Any]:
        """Return one row with each column in its published type, unknown as None."""
        built_ins = {name: _value(name, float(values[i])) for name, values in self.built_ins.items()}
        return self.frame.row(i, named=True) | built_ins


def published(batch: pl.DataFrame, rows: Rows, names: Collection[str]) -> Published:
    """Return the batch with the named built-ins."""
    wanted = [name for name in PUBLISHED if name in names and name not in TRANSACTION]
    return Published(batch, {name: _built_in(name, rows) for name in wanted})


def _built_in(name: str, rows: Rows) -> Floats:
    if name == "hour":
        return (rows.times // _HOUR_MS % 24).astype(np.float64)
    if name == "weekday":
        return ((rows.times // _DAY_MS + 3) % 7 + 1.0).astype(np.float64)  # 1970 began on a Thursday
    return np.where(rows.has_rate, rows.amount, np.nan) if name == "amount_base" else rows.features[name]


def _value(name: str, value: float) -> float | int | bool | None:
    if np.isnan(value):
        return None
    dtype = PUBLISHED[name].dtype
    if dtype == pl.Boolean:
        return value == 1.0
    return int(value) if dtype.is_integer() else value
