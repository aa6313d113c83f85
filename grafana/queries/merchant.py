"""Questions about one merchant, from its hours (`docs/entities.md`) and its anomalies."""

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.panels.variable import Variable
from grafana.queries.drawn import amounts_by_severity
from grafana.queries.flux import (
    STANDING,
    imports,
    line,
    most_frequent,
    summaries,
)
from grafana.queries.found import listed, top

_HERE = line("merchant_id", "${shop:regex}")
_HOURS = (
    '"metrics"."autogen"."merchants" WHERE mb = \'$mb\' AND merchant_id =~ /^${shop:regex}$/ AND $timeFilter'
    " GROUP BY time(1h) fill(none)"
)


def variables(audience: Audience) -> tuple[Variable, ...]:
    """Return what names the merchant; without a name it is the one with the most anomalies."""
    return (
        Variable(name="merchant", label="Merchant", help="the id; without one, which has the most anomalies"),
        Variable(name="shop", label="", help="the merchant in use", query=_named(audience), hidden=True),
        Variable(name="mb", label="", help="where its hours lie", query=_bucket(audience), hidden=True),
    )


def frequency(audience: Audience) -> Query:
    """Transactions and declined ones in each hour."""
    return _hours(
        audience, "sum(count) AS transactions, sum(declined) AS declined", ("transactions", "declined")
    )


def declined_share(audience: Audience) -> Query:
    """The share of declined attempts in each hour, in percent."""
    return _hours(audience, "100 * sum(declined) / sum(count) AS declined_share", ("declined_share",))


def turnover(audience: Audience) -> Query:
    """What was paid in each hour, in the base currency."""
    return _hours(audience, "sum(total) AS paid", ("paid",))


def usual_amounts(audience: Audience) -> Query:
    """The usual amount in each hour with the band of two standard deviations, and the largest.

    No column is named by a severity: anomalies are drawn over them, told apart by theirs.
    """
    mean = "sum(log_total) / sum(paid)"
    spread = f"2 * sqrt(abs(sum(log_squares) / sum(paid) - pow({mean}, 2)))"
    selected = f"exp({mean} - {spread}) AS least, exp({mean}) AS usual, exp({mean} + {spread}) AS most, max(largest) AS largest"
    return _hours(audience, selected, ("least", "usual", "most", "largest"))


def anomalous_amounts(audience: Audience) -> Query:
    """Amounts of the anomalies at the merchant, a series for each severity."""
    return amounts_by_severity(audience, _HERE)


def countries(audience: Audience) -> Query:
    """From which countries the anomalies at the merchant came, the most first."""
    return top(audience, "country", patterns=(STANDING, _HERE))


def anomalies(audience: Audience) -> Query:
    """The anomalies at the merchant in the time shown."""
    return listed(audience, summaries(audience.found, _HERE, having=""), 200)


def _hours(audience: Audience, selected: str, columns: tuple[str, ...]) -> Query:
    return Query(
        text=f"SELECT {selected} FROM {_HOURS}",
        columns=("time", *columns),
        uid=audience.influxql,
        language="influxql",
        shape="time_series",
        alias="$col",
    )


def _named(audience: Audience) -> Query:
    return Query(
        text=most_frequent(audience.found, "merchant_id", unless="merchant"),
        columns=("_value",),
        uid=audience.flux,
    )


def _bucket(audience: Audience) -> Query:
    text = f"""\
{imports("array", "contrib/qxip/hash", "strings")}
array.from(rows: [{{_value: strings.substring(v: hash.sha256(v: ${{shop:json}}), start: 0, end: 3)}}])
"""
    return Query(text=text, columns=("_value",), uid=audience.flux)
