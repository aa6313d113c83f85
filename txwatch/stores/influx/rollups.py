"""The tasks that InfluxDB runs to keep roll-ups: what each is called, how often it runs, and its Flux.

Guarantee: a roll-up is computed anew from all of its parts, so running a task twice changes nothing.  It
covers each hour (or day) with a part that was written since the task last succeeded, however old that hour
is: late transactions are followed, and so is everything that came while InfluxDB ran no tasks.  What was
written in the ten minutes before that success is looked at again, since writers' clocks and lost answers
make parts appear behind their time.  Lost: nothing, as long as parts outlive the lateness of transactions.
"""

from datetime import timedelta

import msgspec

from txwatch.ports import RetentionPolicy
from txwatch.stores.influx.layout import ANOMALIES, TRAFFIC, retentions

SPARE = timedelta(days=2)
"""A part this close to the end of its retention may have lost neighbours already, so it starts no roll-up."""

NO_LIMIT = timedelta(days=400)
"""How far back tasks look where points are kept for ever."""


class Rollup(msgspec.Struct, frozen=True, kw_only=True):
    """One task: `name` finds it again."""

    name: str
    every: str
    flux: str


def rollups(policy: RetentionPolicy) -> tuple[Rollup, ...]:
    """Return all tasks."""
    kept = retentions(policy)
    minutes, anomalies = _days(kept[TRAFFIC[60]]), _days(kept[ANOMALIES])
    return (
        _task("traffic_1h", "5m", _TRAFFIC, _traffic("1h", 3600, minutes)),
        _task("traffic_1d", "1h", _TRAFFIC, _traffic("1d", 86_400, minutes)),
        _task("anomaly_counts", "5m", _ANOMALIES, {"span": "1h", "days": anomalies, "bucket": ANOMALIES}),
    )


def _task(name: str, every: str, body: str, values: dict[str, str | int]) -> Rollup:
    full_name = f"txwatch {name}"
    flux = (_HEAD + body) % {**values, "name": full_name, "every": every}
    return Rollup(name=full_name, every=every, flux=flux)


def _traffic(span: str, seconds: int, days: int) -> dict[str, str | int]:
    places = {"minutes": TRAFFIC[60], "bucket": TRAFFIC[seconds]}
    return {"span": span, "seconds": seconds, "days": days, **places}


def _days(kept: timedelta) -> int:
    return ((kept or NO_LIMIT) - SPARE).days


# InfluxDB's `to` writes tags in the order of the table's columns, and takes other orders for other series.
_HEAD = """\
import "array"
import "date"
import "influxdata/influxdb/tasks"

option task = {name: "%(name)s", every: %(every)s, offset: 30s}

since = int(v: tasks.lastSuccess(orTime: 1970-01-01T00:00:00Z)) - int(v: 10m)
oldest = date.truncate(t: date.sub(d: %(days)dd, from: now()), unit: 1d)
newest = date.add(d: 1d, to: now())

starts = (tables=<-) =>
    tables
        |> filter(fn: (r) => r._value >= since)
        |> aggregateWindow(every: %(span)s, fn: count, timeSrc: "_start", createEmpty: false)
        |> map(fn: (r) => ({start: string(v: date.truncate(t: r._time, unit: %(span)s))}))
        |> group()
        |> distinct(column: "start")
        |> findColumn(fn: (key) => true, column: "_value")

latest = [
    string(v: date.truncate(t: now(), unit: %(span)s)),
    string(v: date.truncate(t: date.sub(d: %(span)s, from: now()), unit: %(span)s)),
]
"""

_TRAFFIC = """
changed =
    from(bucket: "%(minutes)s")
        |> range(start: oldest, stop: newest)
        |> filter(fn: (r) => r._measurement == "traffic" and r.dimension == "all" and r._field == "written")
        |> starts()

minutes = (start) =>
    from(bucket: "%(minutes)s")
        |> range(start: start, stop: date.add(d: %(span)s, to: start))
        |> filter(fn: (r) => r._measurement == "traffic")

rolled = (start) =>
    union(
        tables: [
            minutes(start: start)
                |> filter(
                    fn: (r) =>
                        r._field == "count" or r._field == "declined" or r._field == "total"
                            or r._field == "lag_total",
                )
                |> group(columns: ["dimension", "value", "_field"])
                |> sum(),
            minutes(start: start)
                |> filter(fn: (r) => r._field == "lag_max")
                |> group(columns: ["dimension", "value", "_field"])
                |> max(),
        ],
    )
        |> map(
            fn: (r) =>
                ({
                    _time: start,
                    _measurement: "traffic",
                    _field: r._field,
                    _value: r._value,
                    dimension: r.dimension,
                    seconds: "%(seconds)d",
                    value: r.value,
                }),
        )

union(tables: array.concat(arr: latest, v: changed) |> array.map(fn: (x) => rolled(start: time(v: x))))
    |> to(bucket: "%(bucket)s", tagColumns: ["dimension", "seconds", "value"])
"""

_ANOMALIES = """
changed =
    from(bucket: "%(bucket)s")
        |> range(start: oldest, stop: newest)
        |> filter(fn: (r) => r._measurement == "anomalies" and r._field == "detected_at")
        |> starts()

words = ["severity", "type", "channel", "country"]
tags = ["channel", "country", "kind", "mode", "severity", "type"]

hour = (measurement, start) =>
    from(bucket: "%(bucket)s")
        |> range(start: start, stop: date.add(d: %(span)s, to: start))
        |> filter(fn: (r) => r._measurement == measurement)

named = (text) => if exists text and text != "-" then text else "unknown"

counted = (start) =>
    union(
        tables: [
            hour(measurement: "anomaly_counts", start: start)
                |> group()
                |> map(fn: (r) => ({r with _value: 0}))
                |> keep(columns: array.concat(arr: tags, v: ["_value"])),
            hour(measurement: "anomalies", start: start)
                |> filter(fn: (r) => contains(value: r._field, set: words))
                |> group(columns: ["mode", "kind", "source", "partition", "lap"])
                |> pivot(
                    rowKey: ["_time", "mode", "kind", "source", "partition", "lap"],
                    columnKey: ["_field"],
                    valueColumn: "_value",
                )
                |> group()
                |> filter(fn: (r) => r.severity != "withdrawn")
                |> map(
                    fn: (r) =>
                        ({
                            mode: r.mode,
                            kind: r.kind,
                            severity: r.severity,
                            type: r.type,
                            channel: named(text: r.channel),
                            country: named(text: r.country),
                            _value: 1,
                        }),
                ),
        ],
    )
        |> group(columns: tags)
        |> sum()
        |> map(
            fn: (r) =>
                ({
                    _time: start,
                    _measurement: "anomaly_counts",
                    _field: "count",
                    _value: r._value,
                    channel: r.channel,
                    country: r.country,
                    kind: r.kind,
                    mode: r.mode,
                    severity: r.severity,
                    type: r.type,
                }),
        )

union(tables: array.concat(arr: latest, v: changed) |> array.map(fn: (x) => counted(start: time(v: x))))
    |> to(bucket: "%(bucket)s", tagColumns: tags)
"""
