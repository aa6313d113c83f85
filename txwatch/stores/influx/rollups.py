"""The tasks that InfluxDB runs to keep roll-ups: what each is called, how often it runs, and its Flux.

Guarantee: a roll-up is computed anew from all of its parts, so running a task twice changes nothing.  It
covers each hour (or day) with a part that was written since the task last succeeded, however old that hour
is: late transactions are followed, and so is everything that came while InfluxDB ran no tasks.  What was
written in the ten minutes before that success began is looked at again, since writers' clocks and lost
answers make parts appear behind their time.  Lost: nothing, as long as parts outlive the lateness of
transactions.

When it last succeeded stands in InfluxDB's own bucket `_tasks`, for three days unless told otherwise; after
that, and when its text has changed, a task computes everything once.
"""

import hashlib
from datetime import timedelta

import msgspec

from txwatch.ports import RetentionPolicy
from txwatch.stores.influx.layout import ANOMALIES, AUDIT, TRAFFIC, retentions

SPARE = timedelta(days=2)
"""A part this close to the end of its retention may have lost neighbours already, so it starts no roll-up."""

NO_LIMIT = timedelta(days=400)
"""How far back tasks look where points are kept for ever."""


class Rollup(msgspec.Struct, frozen=True, kw_only=True):
    """One task: `name` finds it again; the name that it has in InfluxDB also tells its text."""

    name: str
    every: str
    flux: str


def base_name(name: str) -> str:
    """Return what a task is called, whatever its text, from its name in InfluxDB."""
    return " ".join(name.split(" ")[:2])


def rollups(policy: RetentionPolicy) -> tuple[Rollup, ...]:
    """Return all tasks."""
    kept = retentions(policy)
    minutes, anomalies = _days(kept[TRAFFIC[60]]), _days(kept[ANOMALIES])
    return (
        _task("traffic_1h", "5m", _TRAFFIC, _traffic("1h", 3600, minutes)),
        _task("traffic_1d", "1h", _TRAFFIC, _traffic("1d", 86_400, minutes)),
        _task("anomaly_counts", "5m", _FOUND + _ANOMALIES, _counting(ANOMALIES, anomalies)),
        _task("rule_counts", "5m", _FOUND + _RULES, _counting(AUDIT, anomalies)),
    )


def _task(name: str, every: str, body: str, values: dict[str, str | int]) -> Rollup:
    mark = hashlib.sha256(repr((_HEAD, body, values)).encode()).hexdigest()[:8]
    flux = (_HEAD + body) % {**values, "name": f"txwatch {name} {mark}", "every": every}
    return Rollup(name=f"txwatch {name}", every=every, flux=flux)


def _traffic(span: str, seconds: int, days: int) -> dict[str, str | int]:
    places = {"minutes": TRAFFIC[60], "bucket": TRAFFIC[seconds]}
    return {"span": span, "seconds": seconds, "days": days, **places}


def _counting(bucket: str, days: int) -> dict[str, str | int]:
    return {"span": "1h", "days": days, "anomalies": ANOMALIES, "bucket": bucket}


def _days(kept: timedelta) -> int:
    return ((kept or NO_LIMIT) - SPARE).days


# InfluxDB's `to` writes tags in the order of the table's columns, and takes other orders for other series.
# A `map` that calls no function is vectorised, and then its columns come in random order: so ours call one.
#
# A stretch is a part of one day, "start/stop": from its first span that changed to the end of its last one.
# Each is one query, since InfluxDB takes minutes to plan one for each hour of a month.
#
# `tasks.lastSuccess` would be the way to ask, but gives its default each time (influxdata/influxdb#25384).
# In a task now() is the time that it was scheduled for, so the last run may have begun after that.
_HEAD = """\
import "array"
import "date"
import "strings"

option task = {name: "%(name)s", every: %(every)s, offset: 30s}

oldest = date.truncate(t: date.sub(d: %(days)dd, from: now()), unit: 1d)
newest = date.add(d: 1d, to: now())
current = date.truncate(t: now(), unit: %(span)s)
before = date.truncate(t: date.sub(d: %(span)s, from: now()), unit: %(span)s)
succeeded =
    from(bucket: "_tasks")
        |> range(start: -7d, stop: newest)
        |> filter(fn: (r) => r._measurement == "runs" and r.status == "success" and r._field == "name")
        |> filter(fn: (r) => r._value == "%(name)s")
        |> group()
        |> max(column: "_time")
        |> findColumn(fn: (key) => true, column: "_time")
since = if length(arr: succeeded) == 0 then 0 else int(v: succeeded[0]) - int(v: 10m)

stretches = (tables=<-) =>
    tables
        |> filter(fn: (r) => r._value >= since)
        |> aggregateWindow(every: %(span)s, fn: count, timeSrc: "_start", createEmpty: false)
        |> map(fn: (r) => ({day: date.truncate(t: r._time, unit: 1d), start: r._time}))
        |> group(columns: ["day"])
        |> reduce(
            identity: {start: newest, stop: oldest},
            fn: (r, accumulator) =>
                ({
                    start: if r.start < accumulator.start then r.start else accumulator.start,
                    stop: if r.start > accumulator.stop then r.start else accumulator.stop,
                }),
        )
        |> group()
        |> map(fn: (r) => ({r with stop: date.add(d: %(span)s, to: r.stop)}))
        |> map(fn: (r) => ({stretch: string(v: r.start) + "/" + string(v: r.stop)}))
        |> findColumn(fn: (key) => true, column: "stretch")

begin = (stretch) => time(v: strings.split(v: stretch, t: "/")[0])
end = (stretch) => time(v: strings.split(v: stretch, t: "/")[1])
latest = [string(v: before) + "/" + string(v: current), string(v: current) + "/" + string(v: newest)]
"""

_TRAFFIC = """
changed =
    from(bucket: "%(minutes)s")
        |> range(start: oldest, stop: newest)
        |> filter(fn: (r) => r._measurement == "traffic" and r.dimension == "all" and r._field == "written")
        |> stretches()

minutes = (stretch) =>
    from(bucket: "%(minutes)s")
        |> range(start: begin(stretch: stretch), stop: end(stretch: stretch))
        |> filter(fn: (r) => r._measurement == "traffic")

rolled = (stretch) =>
    union(
        tables: [
            minutes(stretch: stretch)
                |> filter(
                    fn: (r) =>
                        r._field == "count" or r._field == "declined" or r._field == "total"
                            or r._field == "lag_total",
                )
                |> aggregateWindow(every: %(span)s, fn: sum, timeSrc: "_start", createEmpty: false)
                |> group(columns: ["dimension", "value", "_field"])
                |> aggregateWindow(every: %(span)s, fn: sum, timeSrc: "_start", createEmpty: false),
            minutes(stretch: stretch)
                |> filter(fn: (r) => r._field == "lag_max")
                |> aggregateWindow(every: %(span)s, fn: max, timeSrc: "_start", createEmpty: false)
                |> group(columns: ["dimension", "value", "_field"])
                |> aggregateWindow(every: %(span)s, fn: max, timeSrc: "_start", createEmpty: false),
        ],
    )
        |> map(
            fn: (r) =>
                ({
                    _time: date.truncate(t: r._time, unit: %(span)s),
                    _measurement: "traffic",
                    _field: r._field,
                    _value: r._value,
                    dimension: r.dimension,
                    seconds: "%(seconds)d",
                    value: r.value,
                }),
        )

union(tables: array.concat(arr: latest, v: changed) |> array.map(fn: (x) => rolled(stretch: x)))
    |> to(bucket: "%(bucket)s", tagColumns: ["dimension", "seconds", "value"])
"""

_FOUND = """
changed =
    from(bucket: "%(anomalies)s")
        |> range(start: oldest, stop: newest)
        |> filter(fn: (r) => r._measurement == "anomalies" and r._field == "written")
        |> stretches()
"""

_ANOMALIES = """
words = ["severity", "type", "channel", "country"]
tags = ["channel", "country", "kind", "mode", "severity", "type"]

points = (measurement, stretch) =>
    from(bucket: "%(bucket)s")
        |> range(start: begin(stretch: stretch), stop: end(stretch: stretch))
        |> filter(fn: (r) => r._measurement == measurement)

named = (text) => if exists text and text != "-" then text else "unknown"

counted = (stretch) =>
    union(
        tables: [
            points(measurement: "anomaly_counts", stretch: stretch)
                |> group()
                |> map(fn: (r) => ({r with _value: 0}))
                |> keep(columns: array.concat(arr: tags, v: ["_time", "_value"])),
            points(measurement: "anomalies", stretch: stretch)
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
                            _time: date.truncate(t: r._time, unit: %(span)s),
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
        |> aggregateWindow(every: %(span)s, fn: sum, timeSrc: "_start", createEmpty: false)
        |> map(
            fn: (r) =>
                ({
                    _time: date.truncate(t: r._time, unit: %(span)s),
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

union(tables: array.concat(arr: latest, v: changed) |> array.map(fn: (x) => counted(stretch: x)))
    |> to(bucket: "%(bucket)s", tagColumns: tags)
"""

# Administrators read no anomalies, so what each rule did is counted for them, without saying to whom.
_RULES = """
counted = (stretch) =>
    union(
        tables: [
            from(bucket: "%(bucket)s")
                |> range(start: begin(stretch: stretch), stop: end(stretch: stretch))
                |> filter(fn: (r) => r._measurement == "rule_counts" and r._field == "count")
                |> map(fn: (r) => ({_time: r._time, rule: r.rule, _value: 0})),
            from(bucket: "%(anomalies)s")
                |> range(start: begin(stretch: stretch), stop: end(stretch: stretch))
                |> filter(fn: (r) => r._measurement == "reasons" and r.detector == "rules")
                |> filter(fn: (r) => r.mode == "live" and r._field == "summary" and r._value =~ /^[1-9]\\n/)
                |> aggregateWindow(every: %(span)s, fn: count, timeSrc: "_start", createEmpty: false)
                |> map(fn: (r) => ({_time: r._time, rule: r.code, _value: r._value})),
        ],
    )
        |> group(columns: ["rule"])
        |> sort(columns: ["_time"])
        |> window(every: %(span)s)
        |> sum()
        |> map(
            fn: (r) =>
                ({
                    _time: date.truncate(t: r._start, unit: %(span)s),
                    _measurement: "rule_counts",
                    _field: "count",
                    _value: r._value,
                    rule: r.rule,
                }),
        )
        |> group(columns: ["_measurement", "_field", "rule"])

union(tables: array.concat(arr: latest, v: changed) |> array.map(fn: (x) => counted(stretch: x)))
    |> to(bucket: "%(bucket)s", tagColumns: ["rule"])
"""
