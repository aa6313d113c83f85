"""Questions about anomalies: how many, which, where, by which rule, how fast."""

from collections.abc import Sequence

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.queries.flux import (
    CHOSEN,
    CHOSEN_REASON,
    SEVERITIES,
    STANDING,
    START,
    STOP,
    TAKING_APART,
    added_up,
    as_they_are,
    counted_by,
    counted_in_intervals,
    imports,
    most_of_many,
    named,
    of_each_severity,
    one_after_another,
    summaries,
    taken_apart,
    worst_first,
)

LISTED = (
    "_time",
    "severity",
    "score",
    "type",
    "reason",
    "amount",
    "currency",
    "entity_kind",
    "entity_id",
    "user_id",
    "merchant_id",
    "channel",
    "country",
    "transaction_id",
    "anomaly_id",
)
AROUND = 2 * 60 * 60 * 1000
"""Milliseconds before and after an anomaly that its page shows."""

USUAL_DAYS = 28


def by_severity(audience: Audience) -> Query:
    """How many of each severity: one row, a column each."""
    none = ", ".join(f'{{severity: "{word}", _value: 0}}' for word in SEVERITIES)
    shown = ", ".join(f'"{word}"' for word in SEVERITIES)
    counted = {word: f"{text}    |> group()\n    |> count()\n" for word, text in _of_each(audience).items()}
    text = f"""\
{imports("array")}
none = array.from(rows: [{none}])
found =
{one_after_another("severity", counted)}    |> keep(columns: ["severity", "_value"])
union(tables: [none, found])
    |> group(columns: ["severity"])
    |> sum()
    |> group()
    |> map(fn: (r) => ({{r with all: ""}}))
    |> pivot(rowKey: ["all"], columnKey: ["severity"], valueColumn: "_value")
    |> keep(columns: [{shown}])
"""
    return Query(text=text, columns=SEVERITIES, uid=audience.flux)


def severity_over_time(audience: Audience) -> Query:
    """How many of each severity in each interval: a series each."""
    counted = {word: f"{text}{counted_in_intervals()}" for word, text in _of_each(audience).items()}
    text = f"{one_after_another('severity', counted)}{added_up('severity')}"
    return Query(text=text, columns=("_time", "severity", "count"), uid=audience.flux)


def _of_each(audience: Audience) -> dict[str, str]:
    return of_each_severity(audience.found, CHOSEN)


def usual_over_time(audience: Audience) -> Query:
    """Up to how many an interval are usual: mean and two standard deviations of the 28 days before."""
    before = f"date.sub(from: {START}, d: {USUAL_DAYS}d)"
    text = f"""\
{imports("date", "math")}
first =
{summaries(audience.found, STANDING, start=before, stop=START)}    |> first()
    |> keep(columns: ["_time"])
    |> group()
    |> sort(columns: ["_time"])
    |> findRecord(fn: (key) => true, idx: 0)
usual =
{summaries(audience.found, CHOSEN, start=before, stop=START)}{counted_in_intervals()}    |> group()
    |> sort(columns: ["_time"])
    |> aggregateWindow(every: $__interval, fn: sum, timeSrc: "_start", createEmpty: false)
    |> rename(columns: {{_value: "n"}})
    |> reduce(
        fn: (r, accumulator) => ({{
            total: accumulator.total + float(v: r.n),
            squares: accumulator.squares + float(v: r.n * r.n),
        }}),
        identity: {{total: 0.0, squares: 0.0}},
    )
    |> map(
        fn: (r) => {{
            spans = math.mMax(x: 1.0, y: float(v: int(v: {START}) - int(v: first._time)) / ($__interval_ms.0 * 1000000.0))
            mean = r.total / spans

            return {{usual: mean + 2.0 * math.sqrt(x: math.mMax(x: 0.0, y: r.squares / spans - mean * mean))}}
        }},
    )
union(
    tables: [
        usual |> map(fn: (r) => ({{r with _time: {START}}})),
        usual |> map(fn: (r) => ({{r with _time: {STOP}}})),
    ],
)
"""
    return Query(text=text, columns=("_time", "usual"), uid=audience.flux)


def newest(audience: Audience, most: int = 200) -> Query:
    """The anomalies themselves, the newest first, with the range that the page of each is to show."""
    return listed(audience, summaries(audience.found, CHOSEN), most)


def listed(audience: Audience, chosen: str, most: int, packages: tuple[str, ...] = ()) -> Query:
    """Ask for some anomalies, the newest first."""
    names = tuple(name for name in LISTED if name != "_time")
    ends = {"from": f"string(v: int(v: r._time) / 1000000 - {AROUND})"}
    ends["to"] = f"string(v: int(v: r._time) / 1000000 + {AROUND})"
    text = f"""\
{imports(*packages, *TAKING_APART)}
{chosen}    |> group()
    |> sort(columns: ["_time"], desc: true)
    |> limit(n: {most})
{taken_apart(names, as_they_are(*names) | ends)}"""
    return Query(text=text, columns=(*LISTED, "from", "to"), uid=audience.flux)


def top(audience: Audience, field: str, most: int = 10, patterns: Sequence[str] = (CHOSEN,)) -> Query:
    """The values of a field of few values that the most anomalies have, of those that the patterns fit."""
    apart = taken_apart((field, "severity"), {field: field, "severity": "severity"})
    text = f"""\
{imports(*TAKING_APART)}
{summaries(audience.found, *patterns, named(field))}{apart}{counted_by(field, "severity")}{worst_first(field, most)}"""
    return Query(text=text, columns=(field, "count", "worst"), uid=audience.flux)


def top_of_many(audience: Audience, field: str, most: int = 10) -> Query:
    """The same of a field that has thousands of values."""
    text = f"""\
{imports("contrib/qxip/hash", *TAKING_APART)}
{most_of_many(audience.found, field, most, CHOSEN)}"""
    return Query(text=text, columns=(field, "count", "worst"), uid=audience.flux)


def top_rules(audience: Audience, most: int = 10) -> Query:
    """The rules that hit most."""
    rules = 'r.mode == "live" and r.detector == "rules" and r.code =~ /^${rule:regex}$/'
    each = of_each_severity(audience.found, CHOSEN_REASON, of="reasons", having=rules)
    counted = {
        word: f'{text}    |> group(columns: ["code"])\n    |> count()\n' for word, text in each.items()
    }
    text = f"""\
{one_after_another("severity", counted)}    |> group()
    |> rename(columns: {{_value: "n"}})
{worst_first("code", most)}"""
    return Query(text=text, columns=("code", "count", "worst"), uid=audience.flux)


def seconds_to_find(audience: Audience) -> Query:
    """The 95th percentile of the seconds from a transaction's event to its anomaly."""
    seconds = {"_value": "float(v: detected_at - int(v: r._time)) / 1000000000.0"}
    having = 'r.mode == "live" and r.kind == "transaction"'
    text = f"""\
{imports(*TAKING_APART)}
{summaries(audience.found, CHOSEN, having=having)}{taken_apart(("detected_at",), seconds)}    |> quantile(q: 0.95, method: "exact_selector")
"""
    return Query(text=text, columns=("_value",), uid=audience.flux)


def changes(audience: Audience) -> Query:
    """When rules, models or code changed."""
    text = f"""\
from(bucket: "anomalies")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "changes" and r._field == "sentence")
    |> map(fn: (r) => ({{time: r._time, title: r.kind, text: r._value}}))
    |> group()
"""
    return Query(text=text, columns=("time", "title", "text"), uid=audience.flux)
