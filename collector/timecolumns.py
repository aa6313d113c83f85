"""A column of times at once: RFC 3339 texts in their usual forms, epoch numbers, zoned and naive times.

Pure.  What `collector.fields.moment` might read differently is left to it: its `good` is false or null.
"""

import polars as pl

from collector.fields import EPOCH_UNITS, FIRST_TIME, LAST_TIME, Allowed
from txwatch.columns import TIME

_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,6})?"
_FORMS = (
    # text, strptime format, whether it has a zone
    (rf"{_DAY}T{_CLOCK}Z$", "%Y-%m-%dT%H:%M:%S%.fZ", True),
    (rf"{_DAY} {_CLOCK}Z$", "%Y-%m-%d %H:%M:%S%.fZ", True),
    (rf"{_DAY}T{_CLOCK}[+-][0-9]{{2}}:[0-9]{{2}}$", "%Y-%m-%dT%H:%M:%S%.f%:z", True),
    (rf"{_DAY} {_CLOCK}[+-][0-9]{{2}}:[0-9]{{2}}$", "%Y-%m-%d %H:%M:%S%.f%:z", True),
    (rf"{_DAY}T{_CLOCK}$", "%Y-%m-%dT%H:%M:%S%.f", False),
    (rf"{_DAY} {_CLOCK}$", "%Y-%m-%d %H:%M:%S%.f", False),
)

Judged = tuple[pl.Expr, pl.Expr]
"""A column's values as ours, and which of them are surely right."""


def as_time(column: pl.Expr, given: pl.Series, allowed: Allowed) -> Judged | None:
    """Return the column as times; None where none of it can be judged at once.

    `given` holds its values: the form of the first decides how texts are read.
    """
    kind = given.dtype
    if isinstance(kind, pl.Datetime):
        return _from_times(column, kind, allowed)
    if kind.is_integer():
        return _within(_from_epoch(column))
    if kind == pl.String():
        return _from_texts(column, given, allowed)
    return None


def _from_times(column: pl.Expr, kind: pl.Datetime, allowed: Allowed) -> Judged | None:
    if kind.time_zone is None and allowed.naive_times == "refuse":
        return None
    zoned = column.dt.convert_time_zone("UTC") if kind.time_zone else column.dt.replace_time_zone("UTC")
    return _within(zoned.cast(TIME))


def _from_epoch(column: pl.Expr) -> pl.Expr:
    number = column.cast(pl.Int64, strict=False)
    milliseconds = pl.lit(None, dtype=pl.Int64)
    for limit, nanoseconds in reversed(EPOCH_UNITS):
        factor, parts = max(1, nanoseconds // 10**6), max(1, 10**6 // nanoseconds)
        is_unit = (number > 0) & (number < min(limit, 2**62))
        milliseconds = pl.when(is_unit).then(number * factor // parts).otherwise(milliseconds)
    return milliseconds.cast(TIME)


def _from_texts(column: pl.Expr, given: pl.Series, allowed: Allowed) -> Judged | None:
    first = given.drop_nulls().head(1)
    for pattern, written, has_zone in _FORMS:
        if first.str.contains(pattern).any():
            if not has_zone and allowed.naive_times == "refuse":
                return None
            read = column.str.to_datetime(written, time_unit="ms", time_zone="UTC", strict=False)
            value, good = _within(read)
            return value, good & column.str.contains(pattern)
    if allowed.date_only and first.str.contains(f"{_DAY}$").any():
        read = column.str.to_datetime("%Y-%m-%d", time_unit="ms", time_zone="UTC", strict=False)
        value, good = _within(read)
        return value, good & column.str.contains(f"{_DAY}$")
    return None


def _within(times: pl.Expr) -> Judged:
    bounds = pl.lit(FIRST_TIME).cast(TIME), pl.lit(LAST_TIME).cast(TIME)
    return times, times.is_between(*bounds, closed="left")
