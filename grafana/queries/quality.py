"""Questions about the detectors: who speaks up, how much of an anomaly is theirs, on how much history."""

import msgspec

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.panels.variable import Variable
from grafana.queries.flux import (
    CHOSEN_REASON,
    LIVE,
    START,
    STOP,
    TAKING_APART,
    UNFILTERED,
    added_up,
    counted_in_intervals,
    imports,
    line,
    one_after_another,
    summaries,
    taken_apart,
)

YOUNG = 20
"""Observations below which a baseline still warms up."""

LEVELS = ("entity", "segment", "population", "none")
"""What a reason may compare with."""

_BY_DETECTORS = f'{LIVE} and r.detector != "rules"'


def shares(audience: Audience) -> Query:
    """What each detector and rule contributed: reasons, times it came first, mean share in percent."""
    text = f"""\
{imports(*TAKING_APART)}
each = (tables=<-, figure) =>
    tables
        |> group(columns: ["detector", "code"])
        |> count()
        |> map(fn: (r) => ({{detector: r.detector, code: r.code, figure: figure, _value: float(v: r._value)}}))
{_added_shares(audience)}union(
    tables: [
{_chosen(audience)}        |> each(figure: "reasons"),
{_chosen(audience, line("place", "0", "reasons"))}        |> each(figure: "first"),
        shares |> map(fn: (r) => ({{detector: r.detector, code: r.code, figure: "share", _value: r._value}})),
    ],
)
    |> group()
    |> pivot(rowKey: ["detector", "code"], columnKey: ["figure"], valueColumn: "_value")
    |> filter(fn: (r) => exists r.reasons)
    |> map(
        fn: (r) => ({{
            detector: r.detector,
            code: r.code,
            reasons: int(v: r.reasons),
            first: if exists r.first then int(v: r.first) else 0,
            share: r.share / r.reasons,
        }}),
    )
    |> sort(columns: ["first", "reasons"], desc: true)
"""
    return Query(text=text, columns=("detector", "code", "reasons", "first", "share"), uid=audience.flux)


def _added_shares(audience: Audience) -> str:
    """Return the sum of shares: read as it is where the page filters by nothing."""
    return f"""\
shares =
    if {UNFILTERED} then
        (from(bucket: "{audience.found}")
            |> range(start: {START}, stop: {STOP})
            |> filter(fn: (r) => r._measurement == "reasons" and r._field == "contribution" and {LIVE})
            |> group(columns: ["detector", "code"])
            |> sum())
    else
        ({_chosen(audience)}{taken_apart(("contribution",), _CONTRIBUTED, "reasons")}
            |> group(columns: ["detector", "code"])
            |> sum())
"""


_CONTRIBUTED = {"detector": "r.detector", "code": "r.code", "_value": "contribution"}


def _chosen(audience: Audience, *patterns: str, having: str = LIVE) -> str:
    """Return the reasons that the page lets through."""
    return summaries(audience.found, CHOSEN_REASON, *patterns, of="reasons", having=having)


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
    first = line("place", "0", "reasons")
    text = f"{_chosen(audience, first)}{counted_in_intervals()}{added_up('detector')}"
    return Query(text=text, columns=("_time", "detector", "count"), uid=audience.flux)


def scores(audience: Audience) -> Query:
    """The mean score of the anomalies for which each detector had a reason, in each interval."""
    exact = " AND ".join(
        f'"{name}" =~ /^${{{name}:regex}}$/' for name in ("severity", "type", "channel", "country")
    )
    parts = {"merchant_id": "merchant", "user_id": "user", "transaction_id": "transaction"}
    part = " AND ".join(f'"{field}" =~ /${{{name}:regex}}/' for field, name in parts.items())
    text = (
        f'SELECT mean("score") AS "score" FROM "{audience.found}"."autogen"."reasons"'
        f' WHERE "mode" = \'live\' AND "level" > 0 AND {exact} AND {part}'
        ' AND $timeFilter GROUP BY time($__interval), "detector" fill(none)'
    )
    return msgspec.structs.replace(_series_of(audience, text, ("score",)), alias="$tag_detector")


def levels(audience: Audience) -> Query:
    """On which baseline detectors' reasons stood, in each interval."""
    counted = {level: _stood_on(audience, "baseline_level", level) for level in LEVELS}
    text = f"{one_after_another('level', counted)}{added_up('level')}"
    return Query(text=text, columns=("_time", "level", "count"), uid=audience.flux)


def young(audience: Audience) -> Query:
    """The share of detectors' reasons that stood on few observations, in percent, in each interval."""
    few = "|".join(map(str, range(YOUNG)))
    counted = {
        which: _stood_on(audience, "baseline_size", size)
        for which, size in {"all": "[0-9]+", "young": f"({few})"}.items()
    }
    text = f"""\
{one_after_another("which", counted)}{added_up("which")}    |> group()
    |> pivot(rowKey: ["_time"], columnKey: ["which"], valueColumn: "count")
    |> map(
        fn: (r) => ({{
            _time: r._time,
            share: if exists r.young then 100.0 * float(v: r.young) / float(v: r.all) else 0.0,
        }}),
    )
    |> sort(columns: ["_time"])
"""
    return Query(text=text, columns=("_time", "share"), uid=audience.flux)


def _stood_on(audience: Audience, name: str, pattern: str) -> str:
    """Count detectors' reasons in each interval whose line `name` is so."""
    so = line(name, pattern, "reasons")
    return f"{_chosen(audience, so, having=_BY_DETECTORS)}{counted_in_intervals()}"


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
