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


def imports(*packages: str) -> str:
    """Return the lines that import packages."""
    return "".join(f'import "{name}"\n' for name in packages)


def points(bucket: str, measurement: str, fields: Sequence[str], start: str = START, stop: str = STOP) -> str:
    """Return the points of a measurement, one row each, with these fields and all tags as columns."""
    wanted = " or ".join(f'r._field == "{name}"' for name in fields)
    return f"""\
from(bucket: "{bucket}")
    |> range(start: {start}, stop: {stop})
    |> filter(fn: (r) => r._measurement == "{measurement}")
    |> filter(fn: (r) => {wanted})
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> group()
"""


def anomalies(bucket: str, fields: Sequence[str] = (), start: str = START, stop: str = STOP) -> str:
    """Return the live anomalies that the variables of the page let through, with `fields` beside theirs."""
    wanted = (*FILTERED, *(name for name in fields if name not in FILTERED))
    return (
        points(bucket, "anomalies", wanted, start, stop)
        + f'    |> filter(fn: (r) => r.mode == "live" and\n{_CHOSEN},\n    )\n'
    )


def reasons(bucket: str, fields: Sequence[str] = ()) -> str:
    """Return the reasons of such anomalies; the variable `rule` is left to who asks for rules."""
    own = ("severity", "type", "channel", "country", "merchant_id", "user_id", "transaction_id")
    wanted = (*own, *(name for name in fields if name not in own))
    return (
        points(bucket, "reasons", wanted)
        + f'    |> filter(fn: (r) => r.mode == "live" and\n{_CHOSEN_REASON},\n    )\n'
    )


def one_user(which: str) -> str:
    """Return the end of a query that keeps the rows of the user in a variable."""
    return f"    |> filter(fn: (r) => r.user_id == ${{{which}:json}})\n"


def worst_first(by: str, most: int) -> str:
    """Return the end of a query that counts rows (with `severity`) by a column, the most frequent first."""
    return f"""\
    |> map(
        fn: (r) => ({{r with rank:
            if r.severity == "critical" then 4
            else if r.severity == "high" then 3
            else if r.severity == "medium" then 2
            else 1,
        }}),
    )
    |> group(columns: ["{by}"])
    |> reduce(
        fn: (r, accumulator) => ({{
            count: accumulator.count + 1,
            worst: if r.rank > accumulator.worst then r.rank else accumulator.worst,
        }}),
        identity: {{count: 0, worst: 0}},
    )
    |> group()
    |> sort(columns: ["count", "worst"], desc: true)
    |> limit(n: {most})
"""
