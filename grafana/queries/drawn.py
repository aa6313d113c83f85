"""What is drawn of anomalies on the page of a user or a merchant: their amounts, over the usual ones."""

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.queries.flux import TAKING_APART, as_they_are, imports, summaries, taken_apart


def amounts_by_severity(audience: Audience, theirs: str) -> Query:
    """Amounts of the anomalies that a pattern fits, a series for each severity."""
    names = ("amount", "severity")
    text = f"""\
{imports(*TAKING_APART)}
{summaries(audience.found, theirs, having="")}{taken_apart(names, as_they_are(*names))}    |> filter(fn: (r) => exists r.amount)
    |> group(columns: ["severity"])
    |> sort(columns: ["_time"])
"""
    return Query(text=text, columns=("_time", "amount", "severity"), uid=audience.flux)
