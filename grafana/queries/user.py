"""Questions about one user: from the anomalies and their surroundings, or from every transaction.

Operators see the hours around anomalies, under the user's pseudonym.  Investigators see all transactions,
which the tag `ub` finds among hundreds of millions (`docs/entities.md`).
"""

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.panels.variable import Variable
from grafana.queries.drawn import amounts_by_severity
from grafana.queries.flux import (
    TAKING_APART,
    as_they_are,
    counted_over_time,
    imports,
    line,
    most_frequent,
    points,
    summaries,
    taken_apart,
)
from grafana.queries.found import listed

_WHO = "    |> filter(fn: (r) => r.user_id == ${who:json})\n"
_THEIRS = line("user_id", "${who:regex}")
_OWN = (
    imports("contrib/qxip/hash", "strings")
    + "ub = strings.substring(v: hash.sha256(v: ${who:json}), start: 0, end: 3)\n"
)
_HERE = "r.ub == ub"
_BY_USER = (
    '"transactions"."autogen"."by_user" WHERE ub = \'$ub\' AND user_id =~ /^${who:regex}$/ AND $timeFilter'
)


def variables(audience: Audience) -> tuple[Variable, ...]:
    """Return what names the user; without a name it is the one with the most anomalies."""
    kind = "id" if audience.sees_transactions else "pseudonym"
    named = (
        Variable(name="user", label="User", help=f"the {kind}; without one, who has the most anomalies"),
        Variable(name="who", label="", help="the user in use", query=_named(audience), hidden=True),
    )
    if not audience.sees_transactions:
        return named
    return (
        *named,
        Variable(name="ub", label="", help="where the rows lie", query=_bucket(audience), hidden=True),
    )


def amounts(audience: Audience) -> Query:
    """Every amount at its time."""
    text = f"SELECT amount FROM {_BY_USER}"
    return Query(
        text=text,
        columns=("time", "amount"),
        uid=audience.influxql,
        language="influxql",
        shape="time_series",
        alias="payments",
    )


def usual_amounts(audience: Audience) -> Query:
    """The band in which four of five amounts of each day lie."""
    text = f"SELECT percentile(amount, 10) AS p10, percentile(amount, 90) AS p90 FROM {_BY_USER} GROUP BY time(1d) fill(none)"
    return Query(
        text=text,
        columns=("time", "p10", "p90"),
        uid=audience.influxql,
        language="influxql",
        shape="time_series",
        alias="$col",
    )


def frequency(audience: Audience) -> Query:
    """Transactions in each interval."""
    text = f"SELECT count(amount) FROM {_BY_USER} GROUP BY time($__interval) fill(0)"
    return Query(
        text=text,
        columns=("time", "count"),
        uid=audience.influxql,
        language="influxql",
        shape="time_series",
        alias="transactions",
    )


def declined(audience: Audience) -> Query:
    """Declined attempts in each interval; nothing where there were none at all."""
    text = f"SELECT count(amount) FROM {_BY_USER} AND status = 'declined' GROUP BY time($__interval) fill(0)"
    return Query(
        text=text,
        columns=("time", "count"),
        uid=audience.influxql,
        language="influxql",
        shape="time_series",
        alias="declined",
    )


def transactions(audience: Audience) -> Query:
    """The transactions themselves."""
    text = f"SELECT amount, currency, status, merchant_id, channel, country, transaction_id FROM {_BY_USER} ORDER BY time DESC LIMIT 1000"
    columns = ("time", "amount", "currency", "status", "merchant_id", "channel", "country", "transaction_id")
    return Query(text=text, columns=columns, uid=audience.influxql, language="influxql")


def known_frequency(audience: Audience) -> Query:
    """Transactions in the hours around anomalies in each interval, each once, and those declined."""
    text = f"""\
{_OWN}known =
{points(audience.found, "context", ("user_id", "status", "transaction_id"), having=_HERE)}{_WHO}    |> unique(column: "transaction_id")
union(
    tables: [
        known |> map(fn: (r) => ({{_time: r._time, which: "all"}})),
        known |> filter(fn: (r) => r.status == "declined") |> map(fn: (r) => ({{_time: r._time, which: "declined"}})),
    ],
)
{counted_over_time("which")}"""
    return Query(text=text, columns=("_time", "which", "count"), uid=audience.flux)


def known_amounts(audience: Audience) -> Query:
    """Amounts in the hours around anomalies, each once."""
    text = f"""\
{_OWN}{points(audience.found, "context", ("user_id", "amount", "transaction_id"), having=_HERE)}{_WHO}    |> unique(column: "transaction_id")
    |> keep(columns: ["_time", "amount"])
    |> sort(columns: ["_time"])
"""
    return Query(text=text, columns=("_time", "amount"), uid=audience.flux)


def known_transactions(audience: Audience) -> Query:
    """The transactions in the hours around anomalies, each once."""
    fields = ("amount", "currency", "status", "merchant_id", "channel", "country", "transaction_id")
    kept = ", ".join(f'"{name}"' for name in ("_time", *fields))
    text = f"""\
{_OWN}{points(audience.found, "context", ("user_id", *fields), having=_HERE)}{_WHO}    |> unique(column: "transaction_id")
    |> sort(columns: ["_time"], desc: true)
    |> keep(columns: [{kept}])
"""
    return Query(text=text, columns=("_time", *fields), uid=audience.flux)


def expected_amounts(audience: Audience) -> Query:
    """What was usual for the user when amounts were judged."""
    lines = {"user_id": "${who:regex}", "type": "amount", "entity_kind": "user", "expected": "[0-9].*"}
    patterns = [line(name, pattern, "reasons") for name, pattern in lines.items()]
    text = f"""\
{imports(*TAKING_APART)}
{summaries(audience.found, *patterns, of="reasons", having="")}{taken_apart(("expected",), as_they_are("expected"), "reasons")}    |> sort(columns: ["_time"])
"""
    return Query(text=text, columns=("_time", "expected"), uid=audience.flux)


def anomalous_amounts(audience: Audience) -> Query:
    """Amounts of the user's anomalies, a series for each severity."""
    return amounts_by_severity(audience, _THEIRS)


def anomalies(audience: Audience) -> Query:
    """The user's anomalies in the time shown."""
    return listed(audience, summaries(audience.found, _THEIRS, having=""), 200)


def kinds_of_reasons(audience: Audience) -> Query:
    """What was strange, how often, and the largest share it had in an anomaly."""
    theirs = line("user_id", "${who:regex}", "reasons")
    shown = {"type": "type", "code": "r.code", "contribution": "contribution"}
    apart = taken_apart(("type", "contribution"), shown, "reasons")
    text = f"""\
{imports(*TAKING_APART)}
{summaries(audience.found, theirs, of="reasons", having="")}{apart}    |> group(columns: ["type", "code"])
    |> reduce(
        fn: (r, accumulator) => ({{
            count: accumulator.count + 1,
            most: if r.contribution > accumulator.most then r.contribution else accumulator.most,
        }}),
        identity: {{count: 0, most: 0.0}},
    )
    |> group()
    |> sort(columns: ["count", "most"], desc: true)
"""
    return Query(text=text, columns=("type", "code", "count", "most"), uid=audience.flux)


def _named(audience: Audience) -> Query:
    return Query(
        text=most_frequent(audience.found, "user_id", unless="user"), columns=("_value",), uid=audience.flux
    )


def _bucket(audience: Audience) -> Query:
    text = f"""\
{imports("array", "contrib/qxip/hash", "strings")}
array.from(rows: [{{_value: strings.substring(v: hash.sha256(v: ${{who:json}}), start: 0, end: 3)}}])
"""
    return Query(text=text, columns=("_value",), uid=audience.flux)
