"""Pieces of Flux that queries share: what is imported, the filters of the page, grouping."""

from collections.abc import Sequence

START, STOP = "v.timeRangeStart", "v.timeRangeStop"
"""The range that the page shows."""

FILTERED = (
    "severity",
    "types",
    "rules",
    "channel",
    "country",
    "merchant_id",
    "user_id",
    "transaction_id",
)
"""Fields of an anomaly that the variables of a page filter by."""

_LIVE = 'r.mode == "live"'

RANK = (
    'if r.severity == "critical" then 4'
    ' else if r.severity == "high" then 3'
    ' else if r.severity == "medium" then 2 else 1'
)
"""The severity of a row as a number."""

_CHOSEN = """\
        r.severity =~ /^${severity:regex}$/ and r.types =~ / ${type:regex} / and r.rules =~ / ${rule:regex} /
            and r.channel =~ /^${channel:regex}$/ and r.country =~ /^${country:regex}$/
            and r.merchant_id =~ /.*${merchant:regex}/
            and r.user_id =~ /.*${user:regex}/
            and r.transaction_id =~ /.*${transaction:regex}/"""

_CHOSEN_REASON = """\
        r.severity =~ /^${severity:regex}$/ and r.type =~ /^${type:regex}$/
            and r.channel =~ /^${channel:regex}$/ and r.country =~ /^${country:regex}$/
            and r.merchant_id =~ /.*${merchant:regex}/
            and r.user_id =~ /.*${user:regex}/
            and r.transaction_id =~ /.*${transaction:regex}/"""


UNFILTERED = (
    '"${severity:text}${type:text}${rule:text}${channel:text}${country:text}" == "AllAllAllAllAll"'
    ' and ${merchant:json} + ${user:json} + ${transaction:json} == ""'
)
"""Whether the page filters by nothing, which is how most people look at it.

Then no more fields are read than are shown: putting the eight filtered ones beside each other takes most of
a query's time.
"""


_STANDING = '    |> filter(fn: (r) => r.severity != "withdrawn")\n'
"""What late data took back counts nowhere."""


def imports(*packages: str) -> str:
    """Return the lines that import packages."""
    return "".join(f'import "{name}"\n' for name in packages)


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


def anomalies(bucket: str, fields: Sequence[str] = (), start: str = START, stop: str = STOP) -> str:
    """Return the live anomalies that the variables of the page let through, with `fields` beside theirs."""
    wanted = (*FILTERED, *(name for name in fields if name not in FILTERED))
    shown = ("severity", *(name for name in fields if name != "severity"))
    chosen = (
        points(bucket, "anomalies", wanted, start, stop)
        + f'    |> filter(fn: (r) => r.mode == "live" and\n{_CHOSEN},\n    )\n'
    )
    return _either(points(bucket, "anomalies", shown, start, stop, having=_LIVE), chosen)


def reasons(bucket: str, fields: Sequence[str] = ()) -> str:
    """Return the reasons of such anomalies; the variable `rule` is left to who asks for rules."""
    own = ("severity", "type", "channel", "country", "merchant_id", "user_id", "transaction_id")
    wanted = (*own, *(name for name in fields if name not in own))
    shown = ("severity", *(name for name in fields if name != "severity"))
    chosen = (
        points(bucket, "reasons", wanted)
        + f'    |> filter(fn: (r) => r.mode == "live" and\n{_CHOSEN_REASON},\n    )\n'
    )
    return _either(points(bucket, "reasons", shown, having=_LIVE), chosen)


def _either(everything: str, chosen: str) -> str:
    """Return the first where the page filters by nothing, else the second."""
    return f"(if {UNFILTERED} then\n{everything}else\n{chosen})\n{_STANDING}"


def one_user(which: str) -> str:
    """Return the end of a query that keeps the rows of the user in a variable."""
    return f"    |> filter(fn: (r) => r.user_id == ${{{which}:json}})\n"


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
    """Return the end of a query that counts rows (with `severity`) by a column, the most frequent first.

    For columns of few values: each is a table of its own while it is counted.
    """
    return f"""\
{counted_by(by, "severity")}    |> map(fn: (r) => ({{{by}: r.{by}, n: r.n, rank: {RANK}}}))
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


def worst_of_many(by: str, most: int) -> str:
    """Return the same for columns of thousands of values, such as users (rows have `_time` and `level`).

    A table for each value would take seconds.  So equal values are put beside each other, by a number made
    of them, and each row is told its place in the run of its own: the last of a run has its length, and the
    worst severity.  Packages `contrib/qxip/hash` are needed.
    """
    return f"""\
    |> map(
        fn: (r) => ({{_time: r._time, {by}: r.{by}, worst: r.level, key: uint(v: hash.xxhash64(v: r.{by}))}}),
    )
    |> sort(columns: ["key", "worst"])
    |> difference(columns: ["key"], keepFirst: true)
    |> stateCount(fn: (r) => exists r.key and r.key == 0, column: "again")
    |> sort(columns: ["again", "worst"], desc: true)
    |> unique(column: "{by}")
    |> limit(n: {most})
    |> map(fn: (r) => ({{{by}: r.{by}, count: if r.again < 0 then 1 else r.again + 1, worst: r.worst}}))
"""


def most_frequent(bucket: str, field: str, *, unless: str) -> str:
    """Return a query for the value of a field that the most anomalies have, unless a variable has one."""
    return f"""\
{imports("array", "contrib/qxip/hash")}
if ${{{unless}:json}} != "" then
    array.from(rows: [{{_value: ${{{unless}:json}}}}])
else
{points(bucket, "anomalies", (field, "level"), having=_LIVE)}    |> filter(fn: (r) => r.{field} != "-" and r.level > 0)
{worst_of_many(field, 1)}    |> keep(columns: ["{field}"])
    |> rename(columns: {{{field}: "_value"}})
"""
