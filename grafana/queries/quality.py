"""Questions about the detectors: who speaks up, how much of an anomaly is theirs, on how much history."""

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.panels.variable import Variable
from grafana.queries.flux import counted_over_time, imports, reasons

YOUNG = 20
"""Observations below which a baseline still warms up."""


def shares(audience: Audience) -> Query:
    """What each detector and rule contributed: reasons, times it came first, mean share in percent."""
    text = f"""\
{imports("strings")}
{reasons(audience.found, ("place", "contribution"))}    |> group(columns: ["detector", "code"])
    |> reduce(
        fn: (r, accumulator) => ({{
            reasons: accumulator.reasons + 1,
            first: accumulator.first + (if r.place == 0 then 1 else 0),
            total: accumulator.total + r.contribution,
        }}),
        identity: {{reasons: 0, first: 0, total: 0.0}},
    )
    |> group()
    |> map(fn: (r) => ({{r with share: r.total / float(v: r.reasons)}}))
    |> drop(columns: ["total"])
    |> sort(columns: ["first", "reasons"], desc: true)
"""
    return Query(text=text, columns=("detector", "code", "reasons", "first", "share"), uid=audience.flux)


def leading(audience: Audience) -> Query:
    """How many anomalies each detector led, in each interval."""
    return _over_time(audience, "r.place == 0", "detector", "r.detector")


def levels(audience: Audience) -> Query:
    """On which baseline detectors' reasons stood, in each interval."""
    return _over_time(audience, 'r.detector != "rules"', "level", "r.baseline_level")


def young(audience: Audience) -> Query:
    """The share of detectors' reasons that stood on few observations, in percent, in each interval."""
    text = f"""\
{imports("strings")}
{reasons(audience.found, ("baseline_size",))}    |> filter(fn: (r) => exists r.baseline_size and r.detector != "rules")
    |> map(
        fn: (r) => ({{
            _time: r._time,
            share: if r.baseline_size < {YOUNG} then 100.0 else 0.0,
        }}),
    )
    |> sort(columns: ["_time"])
    |> aggregateWindow(every: $__interval, fn: mean, column: "share", timeSrc: "_start", createEmpty: false)
    |> keep(columns: ["_time", "share"])
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
    fields = ("value", "expected", "low", "high")
    selected = ", ".join(f"mean({name}) AS {name}" for name in fields)
    text = (
        f'SELECT {selected} FROM "metrics"."autogen"."series" WHERE "series" =~ /^${{series:regex}}$/'
        " AND $timeFilter GROUP BY time($__interval) fill(none)"
    )
    return Query(
        text=text,
        columns=("time", *fields),
        uid=audience.influxql,
        language="influxql",
        shape="time_series",
        alias="$col",
    )


def _over_time(audience: Audience, condition: str, name: str, value: str) -> Query:
    text = f"""\
{imports("strings")}
{reasons(audience.found, ("place", "baseline_level"))}    |> filter(fn: (r) => {condition})
    |> map(fn: (r) => ({{_time: r._time, {name}: {value}}}))
{counted_over_time(name)}"""
    return Query(text=text, columns=("_time", name, "count"), uid=audience.flux)
