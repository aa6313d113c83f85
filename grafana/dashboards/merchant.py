"""Merchant: the traffic of one merchant by the hour, and what was strange at it."""

from grafana.audience import Audience
from grafana.dashboards.links import MERCHANT
from grafana.dashboards.shared import anomaly_table, changes
from grafana.panels.look import ACT, UNDRAWN, WATCH, override
from grafana.panels.page import Page, Row
from grafana.panels.panel import Panel, course
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
            Row(title="Traffic", panels=(_frequency(audience), _declined(audience))),
            Row(title="Amounts", panels=(_amounts(audience), _turnover(audience))),
            Row(title="What was strange", panels=(_anomalies(audience),)),
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
        "and the largest. Healthy: the largest stays near the band.",
        asked.usual_amounts(audience),
        log=True,
        points="auto",
        interval="1h",
        overrides=[
            override("largest", {"custom.drawStyle": "points", "custom.showPoints": "always"}),
            override("high", {"custom.fillBelowTo": "low", "custom.fillOpacity": 15, **UNDRAWN}),
            override("low", {"custom.fillOpacity": 0, **UNDRAWN}),
        ],
    )


def _turnover(audience: Audience) -> Panel:
    return course(
        "Paid an hour",
        "The sum of approved amounts, in the base currency.",
        asked.turnover(audience),
        draw="bars",
        interval="1h",
    )


def _anomalies(audience: Audience) -> Panel:
    return anomaly_table(
        "Anomalies at the merchant",
        "The newest first. Many users in short time speak for the merchant: stolen cards are used, or "
        "tried, there.",
        asked.anomalies(audience),
    )
