"""Windows of series in InfluxDB's bucket `metrics`, measurement `series`.

Guarantee: a window is one point (tag `series`, time of its start), so writing it again replaces it.  The
names of series are bounded by whoever registers them.  `known` tells which of the optional fields the last
writing had, since InfluxDB keeps a field that a later writing leaves out.
"""

from collections.abc import Sequence

import polars as pl

from txwatch.ports import SeriesPoint, SeriesQuery
from txwatch.stores.influx.conditions import between, equal, where
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import METRICS
from txwatch.stores.influx.points import FieldValue, nanoseconds, point
from txwatch.stores.influx.text import decode_tag, encode_tag
from txwatch.stores.influx.whole import whole_rows

MEASUREMENT = "series"
OPTIONAL = ("expected", "low", "high", "score")
_SELECTED = {
    "series": pl.String(),
    "seconds": pl.Int64(),
    "value": pl.Float64(),
    "known": pl.Int64(),
    **dict.fromkeys(OPTIONAL, pl.Float64()),
}
_NEVER_NULL = ("seconds", "value", "known")
_TABLE = {"name": pl.String(), "tags": pl.String(), "time": pl.Int64()} | _SELECTED


def put_series(connection: Connection, points: Sequence[SeriesPoint]) -> None:
    """Write windows."""
    if points:
        connection.write(METRICS, "\n".join(map(series_line, points)).encode())


def read_series(connection: Connection, query: SeriesQuery) -> list[SeriesPoint]:
    """Return the matching windows, oldest first; not those that are just being written."""
    columns = ", ".join(f'"{name}"' for name in _SELECTED)
    name = None if query.series is None else encode_tag(query.series)
    conditions = where([*between(query.since, query.until), *equal("series", name)])
    select = f'SELECT {columns} FROM "{MEASUREMENT}"{conditions}'  # noqa: S608 - InfluxQL; values are quoted literals
    answer = connection.checked_rows(METRICS, select)
    if not answer:
        return []
    start = pl.from_epoch(pl.col("time") // 1000, time_unit="us").dt.replace_time_zone("UTC").alias("start")
    whole = whole_rows(answer, _TABLE, _NEVER_NULL)
    rows = whole.with_columns(start).sort("start", "series")
    return [_window(row) for row in rows.drop("name", "tags", "time").iter_rows(named=True)]


def series_line(window: SeriesPoint) -> str:
    """Return a window as a line."""
    optional = {name: getattr(window, name) for name in OPTIONAL}
    known = sum(1 << place for place, value in enumerate(optional.values()) if value is not None)
    fields: dict[str, FieldValue] = {
        "seconds": window.seconds,
        "value": float(window.value),
        "known": known,
        **{name: None if value is None else float(value) for name, value in optional.items()},
    }
    return point(MEASUREMENT, {"series": window.series}, fields, nanoseconds(window.start))


def _window(row: dict[str, object]) -> SeriesPoint:
    known = row.pop("known")
    for place, name in enumerate(OPTIONAL):
        if not int(str(known)) >> place & 1:
            row[name] = None
    row["series"] = decode_tag(str(row["series"]))
    return SeriesPoint(**row)  # type: ignore[arg-type]  # the table's schema is the struct's
