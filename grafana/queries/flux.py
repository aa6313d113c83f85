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

_CHOSEN = """\
        r.severity =~ /^${severity:regex}$/ and r.types =~ / ${type:regex} / and r.rules =~ / ${rule:regex} /
            and r.channel =~ /^${channel:regex}$/ and r.country =~ /^${country:regex}$/
            and strings.containsStr(v: r.merchant_id, substr: ${merchant:json})
            and strings.containsStr(v: r.user_id, substr: ${user:json})
            and strings.containsStr(v: r.transaction_id, substr: ${transaction:json})"""

_CHOSEN_REASON = """\
        r.severity =~ /^${severity:regex}$/ and r.type =~ /^${type:regex}$/
            and r.channel =~ /^${channel:regex}$/ and r.country =~ /^${country:regex}$/
            and strings.containsStr(v: r.merchant_id, substr: ${merchant:json})
            and strings.containsStr(v: r.user_id, substr: ${user:json})
            and strings.containsStr(v: r.transaction_id, substr: ${transaction:json})"""


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
    |> map(fn: (r) => ({{_time: r._time, {by}: r.{by}, count: 1}}))
    |> group(columns: ["{by}"])
    |> sort(columns: ["_time"])
    |> aggregateWindow(every: $__interval, fn: sum, column: "count", timeSrc: "_start", createEmpty: false)
    |> keep(columns: ["_time", "{by}", "count"])
"""


def worst_first(by: str, most: int) -> str:
    """Return the end of a query that counts rows (with `severity`) by a column, the most frequent first.

    What is counted of each severity stands in one number, four digits each: one sum a value is quick where
    a function of ours would be called a row.
    """
    return f"""\
    |> map(
        fn: (r) => ({{{by}: r.{by}, weight:
            if r.severity == "critical" then 1000000000000
            else if r.severity == "high" then 100000000
            else if r.severity == "medium" then 10000
            else 1,
        }}),
    )
    |> group(columns: ["{by}"])
    |> sum(column: "weight")
    |> group()
    |> map(
        fn: (r) => ({{
            {by}: r.{by},
            count: r.weight / 1000000000000 + r.weight / 100000000 % 10000 + r.weight / 10000 % 10000 + r.weight % 10000,
            worst:
                if r.weight >= 1000000000000 then 4
                else if r.weight >= 100000000 then 3
                else if r.weight >= 10000 then 2
                else 1,
        }}),
    )
    |> sort(columns: ["count", "worst"], desc: true)
    |> limit(n: {most})
"""
