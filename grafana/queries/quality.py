"""Questions about the detectors: who speaks up, how much of an anomaly is theirs, on how much history."""

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.panels.variable import Variable
from grafana.queries.flux import START, STOP, counted_over_time, reasons

YOUNG = 20
"""Observations below which a baseline still warms up."""


def shares(audience: Audience) -> Query:
    """What each detector and rule contributed: reasons, times it came first, mean share in percent."""
    text = f"""\
told =
{reasons(audience.found, ("place", "contribution"))}    |> keep(columns: ["detector", "code", "place", "contribution"])
each = (tables=<-) => tables |> group(columns: ["detector", "code"])
union(
    tables: [
        told |> each() |> count(column: "place") |> map(fn: (r) => ({{r with figure: "reasons", _value: float(v: r.place)}})),
        told
            |> filter(fn: (r) => r.place == 0)
            |> each()
            |> count(column: "place")
            |> map(fn: (r) => ({{r with figure: "first", _value: float(v: r.place)}})),
        told |> each() |> mean(column: "contribution") |> map(fn: (r) => ({{r with figure: "share", _value: r.contribution}})),
    ],
)
    |> group()
    |> pivot(rowKey: ["detector", "code"], columnKey: ["figure"], valueColumn: "_value")
    |> map(
        fn: (r) => ({{
            detector: r.detector,
            code: r.code,
            reasons: int(v: r.reasons),
            first: if exists r.first then int(v: r.first) else 0,
            share: r.share,
        }}),
    )
    |> sort(columns: ["first", "reasons"], desc: true)
"""
    return Query(text=text, columns=("detector", "code", "reasons", "first", "share"), uid=audience.flux)


LOOKED_AT = ("evaluated", "warming_up", "without", "failed", "late", "filled", "hits")


def coverage(audience: Audience) -> Query:
    """How many payments each detector evaluated in the time shown, and what became of the others."""
    wanted = " or ".join(f'r._field == "{name}"' for name in LOOKED_AT)
    text = f"""\
from(bucket: "metrics")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "coverage")
    |> filter(fn: (r) => {wanted})
    |> group(columns: ["detector", "_field"])
    |> sum()
    |> group()
    |> pivot(rowKey: ["detector"], columnKey: ["_field"], valueColumn: "_value")
    |> sort(columns: ["failed", "late", "evaluated"], desc: true)
"""
    return Query(text=text, columns=("detector", *LOOKED_AT), uid=audience.flux)


def not_evaluated(audience: Audience) -> Query:
    """Payments that detectors failed at, that came late, or that were evaluated afterwards, in each interval."""
    kinds = ("failed", "late", "filled")
    selected = ", ".join(f'sum("{name}") AS "{name}"' for name in kinds)
    text = (
        f'SELECT {selected} FROM "metrics"."autogen"."coverage"'
        " WHERE $timeFilter GROUP BY time($__interval) fill(none)"
    )
    return _series_of(audience, text, kinds)


def leading(audience: Audience) -> Query:
    """How many anomalies each detector led, in each interval."""
    return _over_time(audience, "r.place == 0", "detector", "detector")


def levels(audience: Audience) -> Query:
    """On which baseline detectors' reasons stood, in each interval."""
    return _over_time(audience, 'r.detector != "rules"', "level", "baseline_level")


def young(audience: Audience) -> Query:
    """The share of detectors' reasons that stood on few observations, in percent, in each interval."""
    text = f"""\
known =
{reasons(audience.found, ("baseline_size",))}    |> filter(fn: (r) => exists r.baseline_size and r.detector != "rules")
    |> keep(columns: ["_time", "baseline_size"])
counted = (tables=<-) =>
    tables
        |> sort(columns: ["_time"])
        |> aggregateWindow(every: $__interval, fn: count, column: "baseline_size", timeSrc: "_start", createEmpty: false)
        |> keep(columns: ["_time", "baseline_size"])
union(
    tables: [
        known |> counted() |> set(key: "which", value: "all"),
        known |> filter(fn: (r) => r.baseline_size < {YOUNG}) |> counted() |> set(key: "which", value: "young"),
    ],
)
    |> pivot(rowKey: ["_time"], columnKey: ["which"], valueColumn: "baseline_size")
    |> map(
        fn: (r) => ({{
            _time: r._time,
            share: if exists r.young then 100.0 * float(v: r.young) / float(v: r.all) else 0.0,
        }}),
    )
    |> sort(columns: ["_time"])
"""
    return Query(text=text, columns=("_time", "share"), uid=audience.flux)


def series_variable(audience: Audience) -> Variable:
    """Return the variable that names a series of traffic."""
    text = """\
import "influxdata/influxdb/schema"
schema.tagValues(bucket: "metrics", tag: "series", predicate: (r) => r._measurement == "series", start: v.timeRangeStart, stop: v.timeRangeStop)
"""
    query = Query(text=text, columns=("_value",), uid=audience.flux)
    return Variable(
        name="series",
        label="Series",
        help="traffic that is watched",
        query=query,
        default="count/all",
        several=False,
    )


def series(audience: Audience) -> Query:
    """What was seen in a series, what was expected, and the band around it."""
    return _windows(audience, '"series" =~ /^${series:regex}$/', ("value", "expected", "low", "high"))


def drift(audience: Audience, figure: str) -> Query:
    """One of the figures by which detection watches itself, and its band."""
    return _windows(audience, f"\"series\" = 'drift:{figure}'", ("value", "low", "high"))


def _windows(audience: Audience, condition: str, fields: tuple[str, ...]) -> Query:
    selected = ", ".join(f"mean({name}) AS {name}" for name in fields)
    text = (
        f'SELECT {selected} FROM "metrics"."autogen"."series" WHERE {condition}'
        " AND $timeFilter GROUP BY time($__interval) fill(none)"
    )
    return _series_of(audience, text, fields)


def _series_of(audience: Audience, text: str, fields: tuple[str, ...]) -> Query:
    return Query(
        text=text,
        columns=("time", *fields),
        uid=audience.influxql,
        language="influxql",
        shape="time_series",
        alias="$col",
    )


def _over_time(audience: Audience, condition: str, name: str, column: str) -> Query:
    text = f"""\
{reasons(audience.found, ("place", "baseline_level"))}    |> filter(fn: (r) => {condition})
    |> keep(columns: ["_time", "{column}"])
    |> duplicate(column: "{column}", as: "{name}")
{counted_over_time(name)}"""
    return Query(text=text, columns=("_time", name, "count"), uid=audience.flux)
