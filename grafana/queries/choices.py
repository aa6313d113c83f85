"""What can be chosen on pages: the variables that filter, the same on each of them."""

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.panels.variable import Variable
from grafana.queries.flux import SEVERITIES
from txwatch.model import AnomalyType

CARRIED = "chosen on another page, and taken along to the next"


def filters(audience: Audience) -> tuple[Variable, ...]:
    """Return the variables that every page about anomalies has."""
    return (
        Variable(name="severity", label="Severity", help="how urgently to look", values=SEVERITIES),
        Variable(
            name="type",
            label="Type",
            help="what is strange; an anomaly has the type of each of its reasons",
            values=tuple(AnomalyType),
        ),
        Variable(name="rule", label="Rule", help="a rule that hit", query=_rules(audience)),
        Variable(
            name="channel", label="Channel", help="of the transaction", query=_values(audience, "channel")
        ),
        Variable(
            name="country", label="Country", help="of the transaction", query=_values(audience, "country")
        ),
        Variable(name="merchant", label="Merchant", help="any part of the id"),
        Variable(name="user", label="User", help=f"any part of the {_kind_of_id(audience)}"),
        Variable(name="transaction", label="Transaction", help="any part of the id"),
    )


def carried(*but: str) -> tuple[Variable, ...]:
    """Return the same filters for a page that does not filter by them, but takes them along."""
    several = ("severity", "type", "rule", "channel", "country")
    single = ("merchant", "user", "transaction")
    return (
        *(Variable(name=name, label="", help=CARRIED, carried=True) for name in several if name not in but),
        *(
            Variable(name=name, label="", help=CARRIED, carried=True, several=False)
            for name in single
            if name not in but
        ),
    )


def _kind_of_id(audience: Audience) -> str:
    return "id" if audience.sees_transactions else "pseudonym"


def _values(audience: Audience, field: str) -> Query:
    text = f"""\
from(bucket: "{audience.found}")
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "anomalies" and r._field == "{field}")
    |> filter(fn: (r) => r._value != "-")
    |> group()
    |> distinct()
    |> sort()
"""
    return Query(text=text, columns=("_value",), uid=audience.flux)


def _rules(audience: Audience) -> Query:
    text = f"""\
from(bucket: "{audience.found}")
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "reasons" and r.detector == "rules" and r._field == "place")
    |> group()
    |> distinct(column: "code")
    |> sort()
"""
    return Query(text=text, columns=("_value",), uid=audience.flux)
