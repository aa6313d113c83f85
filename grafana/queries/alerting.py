"""Questions of alert rules: rows of one number (`value`), told apart by texts that become labels.

What can be counted always has a row, zero where there was nothing: a rule must not fall silent because
what it watches did.
"""

from collections.abc import Sequence

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.queries.flux import START, STOP

ALIVE = 60
"""What said how it is fewer times than this (ten minutes) came once and went, and is not missed."""

FEW = 1_000
"""So few transactions less are no backlog, whatever share they are."""


def transactions(audience: Audience) -> Query:
    """How many transactions there were, by the minutes that the collector counted."""
    return _always(
        audience,
        f"""\
from(bucket: "traffic_1m")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "traffic" and r.dimension == "all" and r._field == "count")
    |> group()
    |> sum()
    |> map(fn: (r) => ({{value: float(v: r._value)}}))
""",
    )


def highest(audience: Audience, component: str, figure: str) -> Query:
    """The highest value of a figure of a service; no row where it says none."""
    return _rows(audience, f"{_said(figure, component)}    |> group()\n    |> max()\n{_VALUE}")


def newest(audience: Audience, component: str, figure: str) -> Query:
    """What a figure of a service was last; no row where it says none."""
    return _rows(
        audience,
        f'{_said(figure, component)}    |> group()\n    |> sort(columns: ["_time"])\n    |> last()\n{_VALUE}',
    )


def kafka_lag(audience: Audience) -> Query:
    """Messages that wait in Kafka, by topic; no row without Kafka."""
    text = f"""\
{_said("kafka_lag", "collector")}    |> last()
    |> group(columns: ["topic"])
    |> sum()
    |> group()
    |> map(fn: (r) => ({{topic: r.topic, value: r._value}}))
"""
    return _rows(audience, text, "topic")


def silence(audience: Audience) -> Query:
    """For how many seconds each service has said nothing."""
    text = f"""\
said = () =>
    from(bucket: "metrics")
        |> range(start: {START}, stop: {STOP})
        |> filter(fn: (r) => r._measurement == "health" and r._field == "state")
often = said()
    |> count()
    |> keep(columns: ["component", "_value"])
    |> rename(columns: {{_value: "times"}})
    |> group()
lately = said()
    |> last()
    |> keep(columns: ["component", "_time"])
    |> group()
join(tables: {{often: often, lately: lately}}, on: ["component"])
    |> filter(fn: (r) => r.times >= {ALIVE})
    |> map(
        fn: (r) => ({{
            component: r.component,
            value: float(v: int(v: {STOP}) - int(v: r._time)) / 1000000000.0,
        }}),
    )
"""
    return _rows(audience, text, "component")


def worst_for_long(audience: Audience) -> Query:
    """The best that each service said of itself in the range: 0 ok, 1 degraded, 2 failed."""
    text = f"""\
from(bucket: "metrics")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "health" and r._field == "state")
    |> min()
    |> group()
    |> map(fn: (r) => ({{component: r.component, value: r._value}}))
"""
    return _rows(audience, text, "component")


def without_result(audience: Audience, work: tuple[str, str], result: tuple[str, str]) -> Query:
    """How far the figure `work` (component, name) grew while `result` did not; 0 where both did."""
    return _grown(audience, work, result, "if result._value > 0.0 then 0.0 else work._value")


def share_without_result(audience: Audience, work: tuple[str, str], result: tuple[str, str]) -> Query:
    """How much less `result` grew than `work`, in percent of that; 0 where it is less than `FEW`."""
    less = "100.0 * (work._value - result._value) / work._value"
    return _grown(audience, work, result, f"if work._value - result._value < {FEW}.0 then 0.0 else {less}")


def _grown(audience: Audience, work: tuple[str, str], result: tuple[str, str], value: str) -> Query:
    text = f"""\
import "array"
grown = (component, name) =>
    union(
        tables: [
            array.from(rows: [{{_value: 0.0}}]),
            from(bucket: "metrics")
                |> range(start: {START}, stop: {STOP})
                |> filter(fn: (r) => r._measurement == "health" and r.component == component)
                |> filter(fn: (r) => r._field == name)
                |> difference(nonNegative: true)
                |> keep(columns: ["_value"]),
        ],
    )
        |> sum()
        |> findRecord(fn: (key) => true, idx: 0)
work = grown(component: "{work[0]}", name: "{work[1]}")
result = grown(component: "{result[0]}", name: "{result[1]}")
array.from(rows: [{{value: {value}}}])
"""
    return _rows(audience, text)


def growth(audience: Audience, component: str, figure: str) -> Query:
    """How far a figure that only grows did so, over restarts."""
    text = f"""\
{_said(figure, component)}    |> difference(nonNegative: true)
    |> group()
    |> sum()
{_VALUE}"""
    return _always(audience, text)


def refused_share(audience: Audience) -> Query:
    """Messages put into quarantine, in percent of all that came."""
    text = f"""\
from(bucket: "metrics")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "health" and r.component == "collector")
    |> filter(fn: (r) => r._field == "transactions_total" or r._field == "quarantined_total")
    |> difference(nonNegative: true)
    |> map(
        fn: (r) => ({{
            all: r._value,
            refused: if r._field == "quarantined_total" then r._value else 0.0,
        }}),
    )
    |> group()
    |> reduce(
        fn: (r, accumulator) => ({{all: accumulator.all + r.all, refused: accumulator.refused + r.refused}}),
        identity: {{all: 0.0, refused: 0.0}},
    )
    |> map(fn: (r) => ({{value: if r.all > 0.0 then 100.0 * r.refused / r.all else 0.0}}))
"""
    return _always(audience, text)


def unsent(audience: Audience) -> Query:
    """The fewest notifications that waited at any time in the range, 0 if one was sent in it."""
    text = f"""\
figures = (name) =>
    from(bucket: "metrics")
        |> range(start: {START}, stop: {STOP})
        |> filter(fn: (r) => r._measurement == "health" and r.component == "notifications")
        |> filter(fn: (r) => r._field == name)
        |> group()
        |> sort(columns: ["_time"])
        |> keep(columns: ["_value"])
waiting = union(tables: [array.from(rows: [{{_value: 1000000000.0}}]), figures(name: "waiting")])
    |> min()
    |> findRecord(fn: (key) => true, idx: 0)
sent = union(tables: [array.from(rows: [{{_value: 0.0}}]), figures(name: "sent_total") |> spread()])
    |> sum()
    |> findRecord(fn: (key) => true, idx: 0)
array.from(rows: [{{value: if sent._value > 0.0 or waiting._value >= 1000000000.0 then 0.0 else waiting._value}}])
"""
    return _rows(audience, 'import "array"\n' + text)


def unusual_hour(audience: Audience) -> Query:
    """How many standard deviations the anomalies of the last whole hour are from those of the same hours before.

    Half a day and more of hours is compared with, those without an anomaly included; the deviation is at
    least the square root of the mean, as counts have it by chance alone.
    """
    text = f"""\
import "array"
import "date"
import "math"
until = date.truncate(t: {STOP}, unit: 1h)
last = date.sub(d: 1h, from: until)
hours =
    union(
        tables: [
            array.from(rows: [{{_time: last, n: 0.0}}]),
            from(bucket: "anomalies")
                |> range(start: date.truncate(t: {START}, unit: 1h), stop: until)
                |> filter(fn: (r) => r._measurement == "anomaly_counts" and r._field == "count" and r.mode == "live")
                |> map(fn: (r) => ({{_time: r._time, n: float(v: r._value)}})),
        ],
    )
        |> group(columns: ["_time"])
        |> sum(column: "n")
        |> group()
hours
"""
    return _rows(audience, text + _DEVIATIONS)


def urgent(audience: Audience, severities: Sequence[str], by: str) -> Query:
    """How many live anomalies of these severities there were, by a field of theirs."""
    chosen = "|".join(severities)
    text = f"""\
from(bucket: "{audience.found}")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "anomalies" and r.mode == "live")
    |> filter(fn: (r) => r._field == "severity" or r._field == "{by}")
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> group()
    |> filter(fn: (r) => r.severity =~ /^({chosen})$/)
    |> map(fn: (r) => ({{{by}: r.{by}, value: 1.0}}))
    |> group(columns: ["{by}"])
    |> sum(column: "value")
    |> group()
"""
    return _rows(audience, text, by)


_DEVIATIONS = """\
    |> sort(columns: ["_time"])
    |> reduce(
        fn: (r, accumulator) => ({
            first: if r._time < accumulator.first then r._time else accumulator.first,
            now: if r._time == last then r.n else accumulator.now,
            total: if r._time == last then accumulator.total else accumulator.total + r.n,
            squares: if r._time == last then accumulator.squares else accumulator.squares + r.n * r.n,
        }),
        identity: {first: until, now: 0.0, total: 0.0, squares: 0.0},
    )
    |> map(
        fn: (r) => {
            spans = float(v: int(v: last) - int(v: r.first)) / 3600000000000.0
            enough = math.mMax(x: spans, y: 1.0)
            mean = r.total / enough
            spread = math.sqrt(x: math.mMax(x: math.mMax(x: mean, y: 1.0), y: r.squares / enough - mean * mean))

            return {value: if spans < 12.0 then 0.0 else (r.now - mean) / spread}
        },
    )
"""

_VALUE = "    |> map(fn: (r) => ({value: r._value}))\n"


def _said(figure: str, component: str) -> str:
    return f"""\
from(bucket: "metrics")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "health" and r._field == "{figure}" and r.component == "{component}")
"""


def _always(audience: Audience, text: str) -> Query:
    """Ask for one number, zero where there is no row."""
    indented = "".join(f"            {line}\n" for line in text.rstrip("\n").split("\n"))
    return _rows(
        audience,
        f"""\
import "array"
union(
    tables: [
        array.from(rows: [{{value: 0.0}}]),
        (
{indented}        ),
    ],
)
    |> sum(column: "value")
""",
    )


def _rows(audience: Audience, text: str, *labels: str) -> Query:
    return Query(text=text, columns=(*labels, "value"), uid=audience.flux)
