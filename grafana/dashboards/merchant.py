"""Merchant: the traffic of one merchant by the hour, and what was strange at it."""

from grafana.audience import Audience
from grafana.dashboards.links import MERCHANT, only
from grafana.dashboards.shared import anomalies_drawn, anomaly_table, changes
from grafana.panels.look import ACT, UNDRAWN, WATCH, Column, override
from grafana.panels.page import Page, Row
from grafana.panels.panel import Panel, course, table
from grafana.queries import merchant as asked
from grafana.queries.choices import carried


def merchant(audience: Audience) -> Page:
    """Return the page of a merchant."""
    return Page(
        uid=MERCHANT,
        title="Merchant",
        help="The traffic of one merchant by the hour, and what was strange at it.",
        variables=(*asked.variables(audience), *carried("merchant")),
        annotations=(changes(audience),),
        since="now-7d",
        rows=(
            Row(title="Traffic of ${shop}", panels=(_frequency(audience), _declined(audience))),
            Row(title="Amounts", panels=(_amounts(audience), _turnover(audience))),
            Row(title="What was strange", panels=(_anomalies(audience), _countries(audience))),
        ),
    )


def _frequency(audience: Audience) -> Panel:
    return course(
        "Transactions an hour",
        "Healthy: the rhythm of opening hours. A flood speaks for a test of cards, silence for an outage.",
        asked.frequency(audience),
        draw="bars",
        interval="1h",
        overrides=[override("declined", {"color": {"mode": "fixed", "fixedColor": ACT}})],
    )


def _declined(audience: Audience) -> Panel:
    return course(
        "Declined, percent",
        "The share of attempts that were declined. Healthy: below 20 %; above 60 % at a busy merchant is an "
        "outage or an attack.",
        asked.declined_share(audience),
        name="declined",
        unit="percent",
        points="auto",
        steps=((20, WATCH), (60, ACT)),
        interval="1h",
    )


def _amounts(audience: Audience) -> Panel:
    return course(
        "Amounts",
        "The usual payment of each hour (geometric mean), the band of two standard deviations around it, "
        "and the largest. Anomalies are large points in the colour of their severity, in the currency in "
        "which they were sent. Healthy: the largest stays near the band, anomalies are few.",
        asked.usual_amounts(audience),
        asked.anomalous_amounts(audience),
        log=True,
        points="auto",
        interval="1h",
        overrides=[
            override("largest", {"custom.drawStyle": "points", "custom.showPoints": "always"}),
            override("most", {"custom.fillBelowTo": "least", "custom.fillOpacity": 15, **UNDRAWN}),
            override("least", {"custom.fillOpacity": 0, **UNDRAWN}),
            *anomalies_drawn(),
        ],
    )


def _turnover(audience: Audience) -> Panel:
    return course(
        "Paid an hour",
        "The sum of approved amounts, in the base currency. Healthy: the rhythm of opening hours; much more "
        "than usual with the usual number of payments is a few large ones.",
        asked.turnover(audience),
        draw="bars",
        interval="1h",
    )


def _anomalies(audience: Audience) -> Panel:
    return anomaly_table(
        "Anomalies at the merchant",
        "The newest first. Healthy: few, of users who have no others. Many users in short time speak for the "
        "merchant: stolen cards are used, or tried, there.",
        asked.anomalies(audience),
    )


def _countries(audience: Audience) -> Panel:
    return table(
        "Where its anomalies came from",
        "Countries of the anomalies at the merchant. Healthy: those of its customers. One from which nobody "
        "else pays there speaks for stolen cards.",
        asked.countries(audience),
        (
            Column(name="country", title="Country", link=only("country", "country")),
            Column(name="count", title="Anomalies", cell="lcd-gauge"),
            Column(name="worst", title="Worst", rank=True, width=90),
        ),
        width=24,
        height=6,
    )
