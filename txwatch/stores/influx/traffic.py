"""Windows of traffic in InfluxDB: measurement `traffic`, in the bucket of their length.

Guarantee: a window is one point (tags, time of its start), so writing it again replaces it.  What would
replace a window that reaches further is left out; since InfluxDB knows no compare-and-swap, two writers
within the same milliseconds may still race, and the next writing of the one that is ahead repairs it.
The values of `value` are bounded by whoever counts the traffic.  `written` (nanoseconds), in the windows of
everything, tells the tasks that roll windows up which of them have changed.
"""

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any

import polars as pl

from txwatch.ports import TrafficPoint, TrafficQuery
from txwatch.stores.influx.conditions import between, equal, where
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import COUNTED, TRAFFIC
from txwatch.stores.influx.points import EPOCH, FieldValue, nanoseconds, point
from txwatch.stores.influx.refusals import write_what_is_kept
from txwatch.stores.influx.text import decode_tag, encode_tag
from txwatch.stores.influx.whole import whole_rows

MEASUREMENT = "traffic"
TAGS = ("seconds", "source", "partition", "dimension", "value")
SKETCHES = ("user_sketch", "amount_sketch")
INTEGERS = ("through", "count", "declined", "users")
NUMBERS = ("total", "lag_total", "lag_max", "p50", "p95")

_HEAD = {"name": pl.String(), "tags": pl.String(), "time": pl.Int64()}
_KEY = {
    "seconds": pl.Int64(),
    "source": pl.String(),
    "partition": pl.Int64(),
    "dimension": pl.String(),
    "value": pl.String(),
}
_VALUES = {
    **dict.fromkeys(INTEGERS, pl.Int64()),
    **dict.fromkeys(NUMBERS, pl.Float64()),
    **dict.fromkeys(SKETCHES, pl.String()),
}

Place = tuple[int, int, str, int, str, str]


def put_traffic(connection: Connection, points: Sequence[TrafficPoint], now: datetime) -> None:
    """Write windows, except those that reach less far than what is stored."""
    for seconds in sorted({p.seconds for p in points}):
        own = [p for p in points if p.seconds == seconds]
        reached = _reached(connection, TRAFFIC[seconds], own)
        ahead = [p for p in own if p.through >= reached.get(_place(p), p.through)]
        if ahead:
            lines = pl.Series([traffic_line(p, now) for p in ahead], dtype=pl.String)
            write_what_is_kept(partial(connection.write, TRAFFIC[seconds]), lines)


def read_traffic(connection: Connection, query: TrafficQuery) -> list[TrafficPoint]:
    """Return the matching windows, oldest first."""
    conditions = between(query.since, query.until)
    for name in TAGS:
        wanted = getattr(query, name)
        conditions += equal(name, None if wanted is None else encode_tag(str(wanted)))
    buckets = COUNTED if query.seconds is None else (TRAFFIC[query.seconds],)
    rows = chain.from_iterable(_rows(connection, each, tuple(_VALUES), conditions) for each in buckets)
    return sorted((_point(row) for row in rows), key=_place)


def traffic_line(window: TrafficPoint, now: datetime) -> str:
    """Return a window as a line."""
    fields: dict[str, FieldValue] = {name: getattr(window, name) for name in INTEGERS}
    fields |= {name: None if (v := getattr(window, name)) is None else float(v) for name in NUMBERS}
    fields |= {name: base64.b64encode(getattr(window, name)).decode() for name in SKETCHES}
    if window.dimension == "all":
        fields["written"] = nanoseconds(now)
    tags = {name: str(getattr(window, name)) for name in TAGS}
    return point(MEASUREMENT, tags, fields, nanoseconds(window.start))


def _reached(connection: Connection, bucket: str, points: Sequence[TrafficPoint]) -> dict[Place, int]:
    times = [nanoseconds(p.start) for p in points]
    span = [f"time >= {min(times)}", f"time <= {max(times)}"]
    rows = _rows(connection, bucket, ("through",), span)
    return {_stored_place(row): row["through"] for row in rows}


def _rows(
    connection: Connection, bucket: str, fields: Sequence[str], conditions: Sequence[str]
) -> Iterable[dict[str, Any]]:
    columns = ", ".join(f'"{name}"' for name in (*_KEY, *fields))
    select = f'SELECT {columns} FROM "{MEASUREMENT}"{where(conditions)}'  # noqa: S608 - InfluxQL; values are quoted literals
    answer = connection.checked_rows(bucket, select)
    if not answer:
        return []
    schema = _HEAD | _KEY | {name: _VALUES[name] for name in fields}
    always = [name for name in fields if name in INTEGERS]
    return whole_rows(answer, schema, always).iter_rows(named=True)


def _point(row: dict[str, Any]) -> TrafficPoint:
    values = dict(row) | {name: decode_tag(row[name]) for name in ("source", "dimension", "value")}
    values |= {name: base64.b64decode(row[name] or "") for name in SKETCHES}
    values["start"] = EPOCH + timedelta(microseconds=values.pop("time") // 1000)
    return TrafficPoint(**{name: values[name] for name in TrafficPoint.__struct_fields__})


def _place(p: TrafficPoint) -> Place:
    return (nanoseconds(p.start), p.seconds, p.source, p.partition, p.dimension, p.value)


def _stored_place(row: dict[str, Any]) -> Place:
    texts = [decode_tag(row[name]) for name in ("dimension", "value")]
    return (row["time"], row["seconds"], decode_tag(row["source"]), row["partition"], texts[0], texts[1])
