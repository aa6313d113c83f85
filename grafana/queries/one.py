"""Questions about one anomaly: the one that the variable `anomaly` names, else the newest."""

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.panels.variable import Variable
from grafana.queries.flux import (
    STANDING,
    START,
    STOP,
    TAKING_APART,
    as_they_are,
    imports,
    line,
    named,
    points,
    summaries,
    taken_apart,
)
from grafana.queries.found import LISTED, listed

DAYS_BACK = 30
_ID = "    |> filter(fn: (r) => r.anomaly_id == ${id:json})\n"
_THIS = line("anomaly_id", "${id:regex}")


def variables(audience: Audience) -> tuple[Variable, ...]:
    """Return what names the anomaly, and what is hidden: its id, its user, its merchant."""
    return (
        Variable(name="anomaly", label="Anomaly", help="its id; without one the newest is shown"),
        Variable(
            name="id", label="", help="the id in use", query=_looked_up(audience, "anomaly_id"), hidden=True
        ),
        Variable(name="who", label="", help="its user", query=_looked_up(audience, "user_id"), hidden=True),
        Variable(
            name="where",
            label="",
            help="its merchant",
            query=_looked_up(audience, "merchant_id"),
            hidden=True,
        ),
    )


def itself(audience: Audience) -> Query:
    """What it is: one row."""
    names = (*(name for name in LISTED if name != "_time"), "status", "late", "rules")
    shown = as_they_are(*names) | {"mode": "r.mode", "kind": "r.kind"}
    text = f"{imports(*TAKING_APART)}\n{_this(audience)}{taken_apart(names, shown)}"
    return Query(
        text=text, columns=("_time", "severity", "score", "type", "reason", "anomaly_id"), uid=audience.flux
    )


def word_of_it(audience: Audience, name: str) -> Query:
    """One of its figures."""
    text = f"{imports(*TAKING_APART)}\n{_this(audience)}{taken_apart((name,), {name: name})}"
    return Query(text=text, columns=(name,), uid=audience.flux)


def _this(audience: Audience) -> str:
    return summaries(audience.found, _THIS, having="")


def reasons(audience: Audience) -> Query:
    """Why: its reasons with what was observed and what was expected."""
    columns = (
        "contribution", "sentence", "observed", "expected", "baseline_size", "baseline_level", "type", "code",
    )  # fmt: skip
    kept = ", ".join(f'"{name}"' for name in columns)
    fields = ("anomaly_id", "place", *(name for name in columns if name != "code"))
    text = f"""\
{_near(audience)}{points(audience.found, "reasons", fields, "first", "last")}{_ID}    |> sort(columns: ["place"])
    |> keep(columns: [{kept}])
"""
    return Query(text=text, columns=("contribution", "sentence", "type", "code"), uid=audience.flux)


def hour(audience: Audience) -> Query:
    """The user's transactions within an hour of it."""
    fields = (
        "amount", "currency", "status", "merchant_id", "channel", "country", "transaction_id", "itself",
    )  # fmt: skip
    kept = ", ".join(f'"{name}"' for name in ("_time", *fields))
    text = f"""\
{_near(audience)}{points(audience.found, "context", ("anomaly_id", *fields), "first", "last")}{_ID}    |> sort(columns: ["_time"], desc: true)
    |> keep(columns: [{kept}])
"""
    return Query(text=text, columns=("_time", *fields), uid=audience.flux)


def hour_drawn(audience: Audience) -> Query:
    """The same as two series: the transaction itself, and the others."""
    text = f"""\
{_near(audience)}{points(audience.found, "context", ("anomaly_id", "amount", "itself"), "first", "last")}{_ID}    |> map(fn: (r) => ({{_time: r._time, amount: r.amount, which: if r.itself then "this one" else "the others"}}))
    |> group(columns: ["which"])
    |> sort(columns: ["_time"])
"""
    return Query(text=text, columns=("_time", "amount", "which"), uid=audience.flux)


def handling(audience: Audience) -> Query:
    """What happened to it: found, then what people did about it, until now."""
    columns = ("_time", "actor", "did", "text")
    kept = ", ".join(f'"{name}"' for name in columns)
    told = {"_time": "time(v: detected_at)", "actor": '"txwatch"', "did": '"found it"', "text": '"-"'}
    text = f"""\
{imports(*TAKING_APART)}
found =
{_this(audience)}{taken_apart(("detected_at",), told)}handled =
{points(audience.found, "handling", ("anomaly_id", "actor", "did", "text"), START, "now()")}{_ID}    |> keep(columns: [{kept}])
union(tables: [found, handled])
    |> group()
    |> sort(columns: ["_time"], desc: true)
"""
    return Query(text=text, columns=columns, uid=audience.flux)


def history(audience: Audience) -> Query:
    """The user's anomalies of the month before, and of the time shown."""
    since = f"date.sub(from: {START}, d: {DAYS_BACK}d)"
    user = line("user_id", "${who:regex}")
    return listed(audience, summaries(audience.found, user, start=since, having=""), 100, ("date",))


def same_place(audience: Audience) -> Query:
    """What else was found at the merchant, or in the traffic, in the time shown."""
    here = f'(r._value =~ /{line("merchant_id", "${where:regex}")}/ or r.kind == "series")'
    return listed(audience, summaries(audience.found, having=here), 100)


def _near(audience: Audience) -> str:
    """Return the beginning of a query that reads only around the anomaly, from `first` to `last`."""
    return f"""\
{imports("array", "date")}
at = (
    union(
        tables: [
            array.from(rows: [{{_time: {STOP}}}]),
            from(bucket: "{audience.found}")
                |> range(start: {START}, stop: {STOP})
                |> filter(fn: (r) => r._measurement == "anomalies" and r._field == "anomaly_id")
                |> filter(fn: (r) => r._value == ${{id:json}})
                |> group()
                |> keep(columns: ["_time"]),
        ],
    )
        |> sort(columns: ["_time"])
        |> findRecord(fn: (key) => true, idx: 0)
)._time
first = date.sub(from: at, d: 61m)
last = date.add(to: at, d: 61m)
"""


def _looked_up(audience: Audience, name: str) -> Query:
    newest = "    |> last()\n" + taken_apart((name,), {"_time": "r._time", "_value": name})
    text = f"""\
{imports(*TAKING_APART)}
(if ${{anomaly:json}} == "" then
{summaries(audience.found, STANDING, named("user_id"))}else
{summaries(audience.found, line("anomaly_id", "${anomaly:regex}"), having="")})
{newest}    |> sort(columns: ["_time"], desc: true)
    |> limit(n: 1)
    |> keep(columns: ["_value"])
"""
    return Query(text=text, columns=("_value",), uid=audience.flux)
