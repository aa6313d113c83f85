"""Questions about who did what: copies of the ledger's audit."""

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.panels.variable import Variable
from grafana.queries.flux import points

_ACTION = "r.action =~ /^${action:regex}$/"


def variables(audience: Audience) -> tuple[Variable, ...]:
    """Return what records are filtered by."""
    text = """\
import "influxdata/influxdb/schema"
schema.tagValues(bucket: "audit", tag: "action", predicate: (r) => r._measurement == "audit", start: v.timeRangeStart, stop: v.timeRangeStop)
"""
    known = Query(text=text, columns=("_value",), uid=audience.flux)
    return (
        Variable(name="action", label="Did", help="what was done", query=known),
        Variable(name="actor", label="Who", help="any part of the name"),
        Variable(name="fact", label="Facts", help="any part of them: an id, a pseudonym, a reason"),
    )


def records(audience: Audience, most: int = 1_000) -> Query:
    """The records that the page lets through, the newest first."""
    text = f"""\
{points("audit", "audit", ("number", "actor", "facts", "hash"), having=_ACTION)}    |> filter(fn: (r) => r.actor =~ /.*${{actor:regex}}.*/ and r.facts =~ /.*${{fact:regex}}.*/)
    |> sort(columns: ["number"], desc: true)
    |> limit(n: {most})
    |> keep(columns: ["_time", "number", "actor", "action", "facts", "hash"])
"""
    columns = ("_time", "number", "actor", "action", "facts", "hash")
    return Query(text=text, columns=columns, uid=audience.flux)


def actions(audience: Audience) -> Query:
    """How often each action was taken, and when last."""
    text = f"""\
{points("audit", "audit", ("number",))}    |> group(columns: ["action"])
    |> reduce(
        fn: (r, accumulator) => ({{
            count: accumulator.count + 1,
            last: if r._time > accumulator.last then r._time else accumulator.last,
        }}),
        identity: {{count: 0, last: 1970-01-01T00:00:00Z}},
    )
    |> group()
    |> sort(columns: ["count"], desc: true)
"""
    return Query(text=text, columns=("action", "count", "last"), uid=audience.flux)
