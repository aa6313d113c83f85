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
