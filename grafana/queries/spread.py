"""Questions about how anomalies are spread: amounts, scores, hours, weekdays, rules that go together."""

from itertools import pairwise

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.queries.flux import (
    CHOSEN,
    SEVERITIES,
    START,
    STOP,
    TAKING_APART,
    as_they_are,
    counted_by,
    imports,
    line,
    named,
    of_each_severity,
    one_after_another,
    summaries,
    taken_apart,
)

AMOUNTS = (0, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
THOUSAND = 1_000
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOUR, DAY = 3_600_000_000_000, 86_400_000_000_000
"""Nanoseconds; 1970 began with a Thursday."""
SCORE_STEP = 5


def amounts(audience: Audience) -> Query:
    """Anomalies by amount, as it was sent."""
    names = [f"{_short(low)}-{_short(high)}" for low, high in pairwise(AMOUNTS)]
    names.append(f"{_short(AMOUNTS[-1])}+")
    chosen = "".join(
        f"if amount >= {low}.0 then {place} else " for place, low in reversed(list(enumerate(AMOUNTS)))
    )
    words = "".join(f'if r.key == {place} then "{name}" else ' for place, name in enumerate(names))
    return _classed(audience, "amount", f"{chosen}0", f'{words}"unknown"')


def _short(amount: int) -> str:
    return f"{amount // 1000}k" if amount >= THOUSAND else str(amount)


def scores(audience: Audience) -> Query:
    """Anomalies by score."""
    step = SCORE_STEP
    return _classed(audience, "score", f"int(v: score) / {step}", f"string(v: r.key * {step})")


def types(audience: Audience) -> Query:
    """Anomalies by the type of their first reason."""
    return _classed(audience, "type", "type", "r.key")


def hours(audience: Audience) -> Query:
    """Anomalies by hour of the day, UTC."""
    return _timed(audience, f"int(v: r._time) / {HOUR} % 24", "string(v: r.key)")


def weekdays(audience: Audience) -> Query:
    """Anomalies by day of the week, UTC, Monday first."""
    names = "".join(f'if r.key == {day} then "{name}" else ' for day, name in enumerate(WEEKDAYS))
    return _timed(audience, f"(int(v: r._time) / {DAY} + 3) % 7", f'{names}"unknown"')


def scores_over_time(audience: Audience) -> Query:
    """Every score at its time."""
    text = f"""\
{imports(*TAKING_APART)}
{summaries(audience.found, CHOSEN)}{taken_apart(("score",), as_they_are("score"))}    |> sort(columns: ["_time"])
"""
    return Query(text=text, columns=("_time", "score"), uid=audience.flux)


def together(audience: Audience, most: int = 15) -> Query:
    """Pairs of rules that hit the same transactions.

    Few sets of rules make up many anomalies: the sets are counted, then the pairs in each set.
    """
    text = f"""\
{imports("influxdata/influxdb/schema", *TAKING_APART)}
sets =
{summaries(audience.found, CHOSEN, line("rules", " [^ ]+  .*"))}{taken_apart(("rules",), {"rules": "rules"})}{counted_by("rules")}    |> map(fn: (r) => ({{rules: r.rules, count: r.n, every: ""}}))
codes =
    schema.tagValues(bucket: "{audience.found}", tag: "code", predicate: (r) => r._measurement == "reasons" and r.detector == "rules", start: {START}, stop: {STOP})
        |> filter(fn: (r) => r._value =~ /^${{rule:regex}}$/)
        |> map(fn: (r) => ({{code: r._value, every: ""}}))
hits =
    join(tables: {{sets: sets, codes: codes}}, on: ["every"])
        |> filter(fn: (r) => strings.containsStr(v: r.rules, substr: " " + r.code + " "))
        |> keep(columns: ["rules", "code", "count"])
join(tables: {{one: hits, other: hits |> drop(columns: ["count"])}}, on: ["rules"])
    |> filter(fn: (r) => r.code_one < r.code_other)
    |> group(columns: ["code_one", "code_other"])
    |> sum(column: "count")
    |> group()
    |> sort(columns: ["count"], desc: true)
    |> limit(n: {most})
"""
    return Query(text=text, columns=("code_one", "code_other", "count"), uid=audience.flux)


def _classed(audience: Audience, name: str, key: str, which: str) -> Query:
    """Return how many of each severity there are in each class, in the order of their keys.

    `key` makes the class from the line `name` of an anomaly, `which` the name of a class from `r.key`.
    """
    shown = {"key": key, "severity": "severity", "_value": "1"}
    text = f"""\
{imports(*TAKING_APART)}
{summaries(audience.found, CHOSEN, named(name))}{taken_apart((name, "severity"), shown)}{_as_rows(which)}"""
    return Query(text=text, columns=("which", *SEVERITIES), uid=audience.flux)


def _timed(audience: Audience, key: str, which: str) -> Query:
    """Return the same for a class that `key` makes from the hour of an anomaly."""
    counted = {
        word: f'{text}    |> aggregateWindow(every: 1h, fn: count, timeSrc: "_start", createEmpty: false)\n'
        for word, text in of_each_severity(audience.found, CHOSEN).items()
    }
    text = f"""\
{one_after_another("severity", counted)}    |> group()
    |> map(fn: (r) => ({{key: {key}, severity: r.severity, _value: r._value}}))
{_as_rows(which)}"""
    return Query(text=text, columns=("which", *SEVERITIES), uid=audience.flux)


def _as_rows(which: str) -> str:
    none = ", ".join(f"{word}: if exists r.{word} then r.{word} else 0" for word in SEVERITIES)
    return f"""\
    |> group(columns: ["key", "severity"])
    |> sum()
    |> group()
    |> pivot(rowKey: ["key"], columnKey: ["severity"], valueColumn: "_value")
    |> sort(columns: ["key"])
    |> map(fn: (r) => ({{which: {which}, {none}}}))
"""
