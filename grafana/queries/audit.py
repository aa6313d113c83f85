"""Questions about who did what: copies of the ledger's audit."""

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.queries.flux import points


def records(audience: Audience, most: int = 1_000) -> Query:
    """The records, the newest first."""
    text = f"""\
{points("audit", "audit", ("number", "actor", "facts", "hash"))}    |> sort(columns: ["number"], desc: true)
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
