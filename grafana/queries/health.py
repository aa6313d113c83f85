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
    """Transactions a second, from the windows that the range allows."""
    text = f"""\
span = {_RANGE}
bucket =
    if span <= {_HOURS_48} then
        "traffic_1m"
    else if span <= {_DAYS_90} then
        "traffic_1h"
    else
        "traffic_1d"
from(bucket: bucket)
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "traffic" and r.dimension == "all" and r._field == "count")
    |> group(columns: ["_field"])
    |> aggregateWindow(every: $__interval, fn: sum, timeSrc: "_start", createEmpty: false)
    |> map(fn: (r) => ({{_time: r._time, rate: float(v: r._value) * 1000.0 / $__interval_ms.0}}))
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
