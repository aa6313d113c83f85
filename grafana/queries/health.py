"""Questions about txwatch itself: traffic, lag, quarantine, what each service says (`docs/metrics.md`)."""

import msgspec

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.queries.flux import START, STOP

_RANGE = f"int(v: {STOP}) - int(v: {START})"
_HOURS_48 = 172_800_000_000_000
_DAYS_90 = 7_776_000_000_000_000


def services(audience: Audience) -> Query:
    """What each service said last, and how many seconds ago."""
    text = f"""\
from(bucket: "metrics")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "health" and (r._field == "state" or r._field == "sentence"))
    |> last()
    |> keep(columns: ["_time", "_field", "_value", "component"])
    |> map(fn: (r) => ({{r with _value: string(v: r._value)}}))
    |> group()
    |> pivot(rowKey: ["component", "_time"], columnKey: ["_field"], valueColumn: "_value")
    |> map(
        fn: (r) => ({{
            component: r.component,
            state: r.state,
            ago: float(v: int(v: {STOP}) - int(v: r._time)) / 1000000000.0,
            sentence: r.sentence,
        }}),
    )
    |> sort(columns: ["state"], desc: true)
"""
    return Query(text=text, columns=("component", "state", "ago", "sentence"), uid=audience.flux)


def rate(audience: Audience) -> Query:
    """Transactions a second, from the windows that the range allows; where none is stored, none came.

    Windows that go on, or are being rolled up, are left out: they would look like a fall.
    """
    text = f"""\
import "array"
import "date"
span = {_RANGE}
short = span <= {_HOURS_48}
middle = span <= {_DAYS_90}
bucket = if short then "traffic_1m" else if middle then "traffic_1h" else "traffic_1d"
step = if short then 1m else if middle then 1h else 1d
settled = date.sub(from: now(), d: if short then 5s else if middle then 10m else 2h)
whole = date.truncate(t: settled, unit: step)
since = date.truncate(t: {START}, unit: step)
until = if {STOP} > whole then whole else {STOP}
union(
    tables: [
        array.from(rows: [{{_time: since, _value: 0}}]),
        from(bucket: bucket)
            |> range(start: since, stop: until)
            |> filter(fn: (r) => r._measurement == "traffic" and r.dimension == "all" and r._field == "count")
            |> keep(columns: ["_time", "_value"]),
    ],
)
    |> group()
    |> range(start: since, stop: until)
    |> aggregateWindow(every: step, fn: sum, timeSrc: "_start")
    |> fill(value: 0)
    |> map(
        fn: (r) => ({{
            _time: r._time,
            rate: float(v: r._value) / (if short then 60.0 else if middle then 3600.0 else 86400.0),
        }}),
    )
    |> range(start: since, stop: until)
    |> aggregateWindow(every: $__interval, fn: mean, column: "rate", timeSrc: "_start", createEmpty: false)
    |> keep(columns: ["_time", "rate"])
"""
    return Query(text=text, columns=("_time", "rate"), uid=audience.flux)


def figure(audience: Audience, component: str, name: str) -> Query:
    """A figure of a service, the largest in each interval."""
    text = (
        f'SELECT max("{name}") AS "{name}" FROM "metrics"."autogen"."health" WHERE component = \'{component}\''
        " AND $timeFilter GROUP BY time($__interval) fill(none)"
    )
    return _influxql(audience, text, name)


def growth(audience: Audience, component: str, name: str, span: str = "1s") -> Query:
    """How fast a figure that only grows does so, a second or another span."""
    text = (
        f'SELECT non_negative_derivative(max("{name}"), {span}) AS "{name}" FROM "metrics"."autogen"."health"'
        f" WHERE component = '{component}' AND $timeFilter GROUP BY time($__interval) fill(none)"
    )
    return _influxql(audience, text, name)


def kafka_lag(audience: Audience) -> Query:
    """What waits in each partition, the most in each interval."""
    return _by_label(audience, "collector", "kafka_lag", ("topic", "partition"))


def store_size(audience: Audience) -> Query:
    """The bytes of each bucket, the most in each interval."""
    return _by_label(audience, "store", "size_bytes", ("part",))


def channels(audience: Audience, name: str) -> Query:
    """What the notifier says of each of its channels, the most in each interval."""
    return _by_label(audience, "notifications", name, ("channel",))


def decisions(audience: Audience) -> Query:
    """How often a minute the notifier decided what, by verdict."""
    text = (
        'SELECT non_negative_derivative(max("decisions_total"), 60s) AS "decisions_total"'
        ' FROM "metrics"."autogen"."health" WHERE component = \'notifications\' AND $timeFilter'
        ' GROUP BY time($__interval), "verdict" fill(none)'
    )
    return msgspec.structs.replace(_influxql(audience, text, "decisions_total"), alias="$tag_verdict")


def newest_figure(audience: Audience, component: str, name: str) -> Query:
    """What a figure was last."""
    text = f'SELECT last("{name}") AS "{name}" FROM "metrics"."autogen"."health" WHERE component = \'{component}\' AND $timeFilter'
    return _influxql(audience, text, name)


def behind(audience: Audience) -> Query:
    """How many transactions the detectors have yet to score, by what both sides counted last."""
    text = f"""\
from(bucket: "metrics")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "health" and r._field == "transactions_total")
    |> filter(fn: (r) => r.component == "collector" or r.component == "detectors")
    |> last()
    |> map(fn: (r) => ({{behind: if r.component == "collector" then r._value else -r._value}}))
    |> group()
    |> sum(column: "behind")
"""
    return Query(text=text, columns=("behind",), uid=audience.flux)


def skipped_runs(audience: Audience) -> Query:
    """How many half hours there were in which transactions were scored and no window of traffic was judged."""
    text = f"""\
import "array"
skipped =
    from(bucket: "metrics")
        |> range(start: {START}, stop: {STOP})
        |> filter(fn: (r) => r._measurement == "health" and r.component == "detectors")
        |> filter(fn: (r) => r._field == "transactions_total" or r._field == "runs_total")
        |> aggregateWindow(every: 30m, fn: max, createEmpty: false)
        |> difference(nonNegative: true)
        |> group()
        |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
        |> filter(fn: (r) => r.transactions_total > 0.0 and r.runs_total <= 0.0)
        |> reduce(fn: (r, accumulator) => ({{skipped: accumulator.skipped + 1}}), identity: {{skipped: 0}})
union(tables: [array.from(rows: [{{skipped: 0}}]), skipped])
    |> sum(column: "skipped")
"""
    return Query(text=text, columns=("skipped",), uid=audience.flux)


def anomaly_share(audience: Audience) -> Query:
    """Anomalies of 1,000 transactions, by the detectors' own counts."""
    growth = 'non_negative_difference(max("{name}"))'
    first, second = (growth.format(name=name) for name in ("anomalies_total", "transactions_total"))
    text = (
        f'SELECT 1000 * {first} / {second} AS "share" FROM "metrics"."autogen"."health"'
        " WHERE component = 'detectors' AND $timeFilter GROUP BY time($__interval) fill(none)"
    )
    return _influxql(audience, text, "share")


def quarantined(audience: Audience) -> Query:
    """Messages put into quarantine in the time shown, by reason."""
    text = f"""\
import "strings"
from(bucket: "metrics")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "health" and r.component == "collector")
    |> filter(fn: (r) => r._field =~ /^quarantined_.+_total$/)
    |> aggregateWindow(every: $__interval, fn: max, createEmpty: false)
    |> increase()
    |> last()
    |> group()
    |> map(
        fn: (r) => ({{
            reason: strings.trimSuffix(v: strings.trimPrefix(v: r._field, prefix: "quarantined_"), suffix: "_total"),
            messages: r._value,
        }}),
    )
    |> sort(columns: ["messages"], desc: true)
"""
    return Query(text=text, columns=("reason", "messages"), uid=audience.flux)


def _by_label(audience: Audience, component: str, name: str, labels: tuple[str, ...]) -> Query:
    """Ask for a figure that a service says several times, a series for each set of labels."""
    grouped = ", ".join(f'"{label}"' for label in labels)
    text = (
        f'SELECT max("{name}") AS "{name}" FROM "metrics"."autogen"."health" WHERE component = \'{component}\''
        f" AND $timeFilter GROUP BY time($__interval), {grouped} fill(none)"
    )
    alias = " ".join(f"$tag_{label}" for label in labels)
    return msgspec.structs.replace(_influxql(audience, text, name), alias=alias)


def _influxql(audience: Audience, text: str, name: str) -> Query:
    return Query(
        text=text,
        columns=("time", name),
        uid=audience.influxql,
        language="influxql",
        shape="time_series",
        alias="$col",
    )
