"""Questions about anomalies: how many, which, where, by which rule, how fast."""

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.queries.flux import (
    START,
    STOP,
    UNFILTERED,
    anomalies,
    counted_by,
    counted_over_time,
    imports,
    points,
    reasons,
    worst_first,
    worst_of_many,
)

SEVERITIES = ("critical", "high", "medium", "low")
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
    none = ", ".join(f'{{severity: "{word}", n: 0}}' for word in SEVERITIES)
    shown = ", ".join(f'"{word}"' for word in SEVERITIES)
    text = f"""\
{imports("array")}
none = array.from(rows: [{none}])
found =
{anomalies(audience.found)}{counted_by("severity")}
union(tables: [none, found])
    |> group(columns: ["severity"])
    |> sum(column: "n")
    |> group()
    |> map(fn: (r) => ({{r with all: ""}}))
    |> pivot(rowKey: ["all"], columnKey: ["severity"], valueColumn: "n")
    |> keep(columns: [{shown}])
"""
    return Query(text=text, columns=SEVERITIES, uid=audience.flux)


def severity_over_time(audience: Audience) -> Query:
    """How many of each severity in each interval: a series each."""
    text = f"""\
{anomalies(audience.found)}{counted_over_time("severity")}"""
    return Query(text=text, columns=("_time", "severity", "count"), uid=audience.flux)


def usual_over_time(audience: Audience) -> Query:
    """Up to how many an interval are usual: mean and two standard deviations of the 28 days before."""
    before = f"date.sub(from: {START}, d: {USUAL_DAYS}d)"
    text = f"""\
{imports("date", "math")}
first =
{points(audience.found, "anomalies", ("level",), before, START)}    |> first(column: "level")
    |> keep(columns: ["_time"])
    |> findRecord(fn: (key) => true, idx: 0)
usual =
{anomalies(audience.found, start=before, stop=START)}    |> keep(columns: ["_time", "severity"])
    |> sort(columns: ["_time"])
    |> aggregateWindow(every: $__interval, fn: count, column: "severity", timeSrc: "_start", createEmpty: false)
    |> rename(columns: {{severity: "n"}})
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
    fields = tuple(name for name in LISTED if name != "_time")
    text = f"""\
{imports("array")}
first =
    if {UNFILTERED} then
        (union(
            tables: [
                array.from(rows: [{{_time: time(v: {START})}}]),
                {_times(audience.found)},
            ],
        )
            |> sort(columns: ["_time"], desc: true)
            |> limit(n: {most})
            |> sort(columns: ["_time"])
            |> findRecord(fn: (key) => true, idx: 0))._time
    else
        time(v: {START})
newest =
{anomalies(audience.found, fields, "first")}{listed(most)}newest
"""
    return Query(text=text, columns=(*LISTED, "from", "to"), uid=audience.flux)


def _times(bucket: str) -> str:
    """Ask for the times of all live anomalies, and nothing else."""
    return f"""\
from(bucket: "{bucket}")
                    |> range(start: {START}, stop: {STOP})
                    |> filter(fn: (r) => r._measurement == "anomalies" and r.mode == "live" and r._field == "level")
                    |> filter(fn: (r) => r._value > 0)
                    |> keep(columns: ["_time"])
                    |> group()"""


def listed(most: int) -> str:
    """Return the end of a query that lists anomalies."""
    columns = ", ".join(f'"{name}"' for name in (*LISTED, "from", "to"))
    return f"""\
    |> sort(columns: ["_time"], desc: true)
    |> limit(n: {most})
    |> map(
        fn: (r) => ({{r with
            from: string(v: int(v: r._time) / 1000000 - {AROUND}),
            to: string(v: int(v: r._time) / 1000000 + {AROUND}),
        }}),
    )
    |> keep(columns: [{columns}])
"""


def top(audience: Audience, field: str, most: int = 10) -> Query:
    """The values of a field that the most anomalies have."""
    many = field in {"user_id", "merchant_id"}
    text = f"""\
{imports("contrib/qxip/hash")}
{anomalies(audience.found, (field, "level"))}    |> filter(fn: (r) => r.{field} != "-")
{worst_of_many(field, most) if many else worst_first(field, most)}"""
    return Query(text=text, columns=(field, "count", "worst"), uid=audience.flux)


def top_rules(audience: Audience, most: int = 10) -> Query:
    """The rules that hit most."""
    text = f"""\
{reasons(audience.found)}    |> filter(fn: (r) => r.detector == "rules" and r.code =~ /^${{rule:regex}}$/)
{worst_first("code", most)}"""
    return Query(text=text, columns=("code", "count", "worst"), uid=audience.flux)


def seconds_to_find(audience: Audience) -> Query:
    """The 95th percentile of the seconds from a transaction's event to its anomaly."""
    text = f"""\
{anomalies(audience.found, ("detected_at",))}    |> filter(fn: (r) => r.kind == "transaction")
    |> map(fn: (r) => ({{_value: float(v: r.detected_at - int(v: r._time)) / 1000000000.0}}))
    |> quantile(q: 0.95, method: "exact_selector")
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
