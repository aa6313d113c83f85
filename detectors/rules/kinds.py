"""The four kinds of values that a rule knows; every number is a 64-bit float while rules look at it."""

from enum import StrEnum

import polars as pl


class Kind(StrEnum):
    """The kind of a column, literal or result; the value is how a message calls it."""

    NUMBER = "a number"
    TEXT = "text"
    FLAG = "true or false"
    TIME = "a time"


def kind_of(dtype: pl.DataType) -> Kind:
    """Return the kind of a published column."""
    if dtype.is_numeric():
        return Kind.NUMBER
    if dtype == pl.Boolean:
        return Kind.FLAG
    return Kind.TIME if dtype.is_temporal() else Kind.TEXT


def as_kind(name: str, kind: Kind) -> pl.Expr:
    """Return the column as rules see it: numbers as Float64, and not-a-number as null.

    polars holds NaN to be larger than every number, so an unknown value would hit.
    """
    column = pl.col(name)
    if kind is Kind.NUMBER:
        return column.cast(pl.Float64).fill_nan(None)
    return column.cast(pl.Boolean) if kind is Kind.FLAG else column
