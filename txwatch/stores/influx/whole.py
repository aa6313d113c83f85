"""Rows of points that are there, from an answer as CSV.

InfluxDB shows a reader some fields of a point while it is taking in the others.  A row that lacks what every
point of its measurement has is not there yet; the next read finds all of it.
"""

from collections.abc import Collection, Mapping

import polars as pl


def whole_rows(answer: bytes, schema: Mapping[str, pl.DataType], always: Collection[str]) -> pl.DataFrame:
    """Return an answer's rows that have all of the columns `always`."""
    return pl.read_csv(answer, schema=schema).drop_nulls(list(always))
