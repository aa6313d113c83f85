"""The frame of published columns that rules read: the transaction's own and the built-ins."""

from collections.abc import Collection

import numpy as np
import polars as pl

from detectors.published import PUBLISHED
from detectors.rows import Rows
from txwatch.columns import TRANSACTION


def published_frame(batch: pl.DataFrame, rows: Rows, names: Collection[str]) -> pl.DataFrame:
    """Return the batch's transaction columns with the named built-ins beside them, unknown as null."""
    own = [batch[name] for name in TRANSACTION if name in batch.columns]
    wanted = [name for name in PUBLISHED if name in names and name not in TRANSACTION]
    return pl.DataFrame(own + [_built_in(name, batch, rows).alias(name) for name in wanted])


def _built_in(name: str, batch: pl.DataFrame, rows: Rows) -> pl.Series:
    if name == "hour":
        return batch["timestamp"].dt.hour()
    if name == "weekday":
        return batch["timestamp"].dt.weekday()
    values = np.where(rows.has_rate, rows.amount, np.nan) if name == "amount_base" else rows.features[name]
    return pl.Series(values, nan_to_null=True).cast(PUBLISHED[name].dtype)
