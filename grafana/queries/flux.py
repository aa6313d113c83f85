"""Pieces of Flux that queries share: what is imported, the filters of the page, grouping.

Anomalies and reasons are asked for by their summaries (`txwatch/summary.py`): InfluxDB filters these by
patterns, counts and windows them while it reads.  Only what a query shows is taken apart.
"""

from collections.abc import Mapping, Sequence

from txwatch.summary import ANOMALY, MISSING, REASON

START, STOP = "v.timeRangeStart", "v.timeRangeStop"
"""The range that the page shows."""

SEVERITIES = ("critical", "high", "medium", "low")
RANK = (
    'if r.severity == "critical" then 4'
    ' else if r.severity == "high" then 3'
    ' else if r.severity == "medium" then 2 else 1'
)
"""The severity of a row as a number."""

STANDING = r"^[1-9]\n"
"""The level of what late data has not taken back: what was withdrawn counts nowhere."""

_IDS = r".*${merchant:regex}.*\n.*${user:regex}.*\n.*${transaction:regex}.*\n"
CHOSEN = (
    STANDING
    + r"${severity:regex}\n.* ${type:regex} .*\n.* ${rule:regex} .*\n${channel:regex}\n${country:regex}\n"
    + _IDS
)
"""The anomalies that the variables of the page let through."""

CHOSEN_REASON = STANDING + r"${severity:regex}\n${type:regex}\n${channel:regex}\n${country:regex}\n" + _IDS
"""Their reasons; the variable `rule` is left to who asks for rules."""

UNFILTERED = (
    '"${severity:text}${type:text}${channel:text}${country:text}" == "AllAllAllAll"'
    ' and ${merchant:json} + ${user:json} + ${transaction:json} == ""'
)
"""Whether the page filters reasons by nothing."""

LIVE = 'r.mode == "live"'

_NUMBERS = {"score": "float", "contribution": "float", "level": "int", "place": "int", "detected_at": "int"}
_PERHAPS = {"amount": "float", "expected": "float", "baseline_size": "int"}
_LINES = {"anomalies": ANOMALY, "reasons": REASON}


def imports(*packages: str) -> str:
    """Return the lines that import packages."""
    return "".join(f'import "{name}"\n' for name in packages)


TAKING_APART = ("internal/debug", "strings")
"""Packages that `taken_apart` needs."""


def points(
    bucket: str,
    measurement: str,
    fields: Sequence[str],
    start: str = START,
    stop: str = STOP,
    *,
    having: str = "",
) -> str:
    """Return the points of a measurement, one row each, with these fields and all tags as columns.

    `having` is a condition on tags.
    """
    wanted = " or ".join(f'r._field == "{name}"' for name in fields)
    tagged = f" and {having}" if having else ""
    beside = (
        f'rename(columns: {{_value: "{fields[0]}"}})'
        if len(fields) == 1
        else 'pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )
    return f"""\
from(bucket: "{bucket}")
    |> range(start: {start}, stop: {stop})
    |> filter(fn: (r) => r._measurement == "{measurement}"{tagged})
    |> filter(fn: (r) => {wanted})
    |> {beside}
    |> group()
"""


def summaries(
    bucket: str,
    *patterns: str,
    of: str = "anomalies",
    start: str = START,
    stop: str = STOP,
    having: str = LIVE,
) -> str:
    """Return the summaries that all patterns fit, a table for each series; `having` is about tags."""
    tagged = f" and {having}" if having else ""
    fitting = "".join(f"    |> filter(fn: (r) => r._value =~ /{pattern}/)\n" for pattern in patterns)
    return f"""\
from(bucket: "{bucket}")
    |> range(start: {start}, stop: {stop})
    |> filter(fn: (r) => r._measurement == "{of}" and r._field == "summary"{tagged})
{fitting}"""


def line(name: str, pattern: str, of: str = "anomalies") -> str:
    """Return the pattern of a summary that has this in the line of this name."""
    return rf"^(.*\n){{{_LINES[of].index(name)}}}{pattern}\n"


def taken_apart(names: Sequence[str], shown: Mapping[str, str], of: str = "anomalies") -> str:
    """Return a step that makes a row of each summary: `shown` by column, from lines by their names."""
    lines = "\n".join(f"            {name} = {_read(name, _LINES[of].index(name))}" for name in names)
    made = ", ".join(f"{column}: {value}" for column, value in shown.items())
    return f"""\
    |> group()
    |> map(
        fn: (r) => {{
            part = strings.split(v: r._value, t: "\\n")
{lines}

            return {{{made}}}
        }},
    )
"""


def as_they_are(*names: str) -> dict[str, str]:
    """Return these lines as columns, and the time."""
    return {"_time": "r._time"} | {name: name for name in names}


def _read(name: str, place: int) -> str:
    text = f"part[{place}]"
    if name in _NUMBERS:
        return f"{_NUMBERS[name]}(v: {text})"
    if name in _PERHAPS:
        kind = _PERHAPS[name]
        return f'if {text} == "{MISSING}" then debug.null(type: "{kind}") else {kind}(v: {text})'
    return text


def counted_in_intervals() -> str:
    """Return a step that counts points in each interval, as InfluxDB does while it reads."""
    return '    |> aggregateWindow(every: $__interval, fn: count, timeSrc: "_start", createEmpty: false)\n'


def added_up(by: str) -> str:
    """Return the end of a query that adds counts of each interval up, a table for each value of a column."""
    return f"""\
    |> group(columns: ["{by}"])
    |> sort(columns: ["_time"])
    |> aggregateWindow(every: $__interval, fn: sum, timeSrc: "_start", createEmpty: false)
    |> rename(columns: {{_value: "count"}})
    |> keep(columns: ["_time", "{by}", "count"])
"""


def one_after_another(column: str, queries: Mapping[str, str]) -> str:
    """Return the union of a query for each of a few values, which stand in a column."""
    parts = "".join(
        f'(\n{text}    |> set(key: "{column}", value: "{value}")\n),\n' for value, text in queries.items()
    )
    return f"union(tables: [\n{parts}])\n"


def of_each_severity(
    bucket: str, *patterns: str, of: str = "anomalies", having: str = LIVE
) -> dict[str, str]:
    """Return the summaries of each severity."""
    return {word: summaries(bucket, *patterns, rf"^.\n{word}\n", of=of, having=having) for word in SEVERITIES}


def counted_over_time(by: str) -> str:
    """Return the end of a query that counts rows in each interval, a table for each value of a column."""
    return f"""\
    |> keep(columns: ["_time", "{by}"])
    |> duplicate(column: "{by}", as: "count")
    |> group(columns: ["{by}"])
    |> sort(columns: ["_time"])
    |> aggregateWindow(every: $__interval, fn: count, column: "count", timeSrc: "_start", createEmpty: false)
    |> keep(columns: ["_time", "{by}", "count"])
"""


def counted_by(*names: str) -> str:
    """Return a step that counts rows by columns of few values: a row each, the number in `n`."""
    columns = ", ".join(f'"{name}"' for name in names)
    return f"""\
    |> keep(columns: [{columns}])
    |> duplicate(column: "{names[0]}", as: "n")
    |> group(columns: [{columns}])
    |> count(column: "n")
    |> group()
"""


def worst_first(by: str, most: int) -> str:
    """Return the end of a query that adds up `n` by a column with its worst `severity`, the most first."""
    return f"""\
    |> map(fn: (r) => ({{{by}: r.{by}, n: r.n, rank: {RANK}}}))
    |> group(columns: ["{by}"])
    |> reduce(
        fn: (r, accumulator) => ({{
            count: accumulator.count + r.n,
            worst: if r.rank > accumulator.worst then r.rank else accumulator.worst,
        }}),
        identity: {{count: 0, worst: 0}},
    )
    |> group()
    |> sort(columns: ["count", "worst"], desc: true)
    |> limit(n: {most})
"""


def most_of_many(bucket: str, field: str, most: int, *patterns: str) -> str:
    """Return how many anomalies there are by a line of thousands of values, such as users, the most first.

    A table for each value would take seconds.  So equal values are put beside each other, by a number made
    of them, and each row is told its place in the run of its own: the last of a run has its length, and the
    worst severity.  The number has a sign, since `difference` takes several times as long without.  Packages
    `contrib/qxip/hash` and `TAKING_APART` are needed.
    """
    key = f"int(v: uint(v: hash.xxhash64(v: {field})) / uint(v: 4))"
    shown = {"_time": "r._time", field: field, "worst": "level", "key": key}
    return f"""\
{summaries(bucket, *patterns, named(field))}{taken_apart((field, "level"), shown)}    |> sort(columns: ["key", "worst"])
    |> difference(columns: ["key"], keepFirst: true)
    |> stateCount(fn: (r) => exists r.key and r.key == 0, column: "again")
    |> sort(columns: ["again", "worst"], desc: true)
    |> unique(column: "{field}")
    |> limit(n: {most})
    |> map(fn: (r) => ({{{field}: r.{field}, count: if r.again < 0 then 1 else r.again + 1, worst: r.worst}}))
"""


def named(name: str, of: str = "anomalies") -> str:
    """Return the pattern of a summary that says something in this line."""
    return line(name, r"([^-\n]|.{2,})", of)


def most_frequent(bucket: str, field: str, *, unless: str) -> str:
    """Return a query for the value of a field that the most anomalies have, unless a variable has one."""
    return f"""\
{imports("array", "contrib/qxip/hash", *TAKING_APART)}
if ${{{unless}:json}} != "" then
    array.from(rows: [{{_value: ${{{unless}:json}}}}])
else
{most_of_many(bucket, field, 1, STANDING)}    |> keep(columns: ["{field}"])
    |> rename(columns: {{{field}: "_value"}})
"""
