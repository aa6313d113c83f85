"""Now: what was found lately, how urgent it is, and whether it is more than usual."""

from grafana.audience import Audience
from grafana.dashboards.links import NOW, TO_HEALTH, TO_MERCHANT, TO_USER, only
from grafana.dashboards.shared import anomaly_table, changes
from grafana.panels.look import (
    ACT,
    WATCH,
    Column,
    named_by_severity,
    override,
    severity_overrides,
)
from grafana.panels.page import Page, Row
from grafana.panels.panel import Panel, course, number, table
from grafana.panels.query import Query
from grafana.panels.worldmap import worldmap
from grafana.queries import found
from grafana.queries.choices import filters
from grafana.queries.flux import SEVERITIES

ALL_COUNTRIES = 250


def now(audience: Audience) -> Page:
    """Return the page on which a shift begins."""
    return Page(
        uid=NOW,
        title="Now",
        help="What was found lately, and whether it is more than usual.",
        variables=filters(audience),
        annotations=(changes(audience),),
        rows=(
            Row(title="", panels=(_how_many(audience), _how_fast(audience))),
            Row(title="", panels=(_over_time(audience),)),
            Row(title="", panels=(_newest(audience),)),
            Row(title="Where from", panels=_where_from(audience)),
        ),
    )


def _how_many(audience: Audience) -> Panel:
    return number(
        "Anomalies",
        "How many the filters let through in the time shown. Healthy: a handful of high ones a day, critical "
        "ones rare. Look at the critical ones first; the table below links to each.",
        found.by_severity(audience),
        fields="/.*/",
        order=SEVERITIES,
        overrides=severity_overrides(),
        width=18,
    )


def _how_fast(audience: Audience) -> Panel:
    return number(
        "Event to anomaly, p95",
        "95 of 100 anomalies were found within this time after the event. Healthy: a few seconds. When it "
        "grows, see Health for what lags; history that was loaded late counts as well.",
        found.seconds_to_find(audience),
        unit="s",
        name="p95",
        steps=((5, WATCH), (60, ACT)),
        width=6,
        links=(TO_HEALTH,),
    )


def _over_time(audience: Audience) -> Panel:
    usual = override(
        "usual",
        {
            "displayName": "usual, up to",
            "custom.drawStyle": "line",
            "custom.fillOpacity": 0,
            "custom.lineStyle": {"fill": "dash", "dash": [8, 6]},
            "custom.stacking": {"mode": "none", "group": "B"},
            "color": {"mode": "fixed", "fixedColor": "text"},
        },
    )
    return course(
        "Anomalies over time",
        "Each bar is an interval. Healthy: below the dashed line, which is the mean and two standard "
        "deviations of such intervals in the 28 days before. Purple marks: changed rules, models or code; a "
        "step at one of them is of our making.",
        found.severity_over_time(audience),
        found.usual_over_time(audience),
        draw="bars",
        stack=True,
        interval="10m",
        overrides=[*named_by_severity(), usual],
        width=24,
    )


def _newest(audience: Audience) -> Panel:
    return anomaly_table(
        "Newest first",
        "The 200 newest that the filters let through. The reason leads to everything that is known of an "
        "anomaly, user and merchant to their own history. Healthy: few critical ones, none of them hours old "
        "without anybody at it.",
        found.newest(audience),
    )


def _where_from(audience: Audience) -> tuple[Panel, ...]:
    rule = Column(name="code", title="Rule", link=only("rule", "code"))
    country = Column(name="country", title="Country", link=only("country", "country"))
    merchant = Column(name="merchant_id", title="Merchant", link=TO_MERCHANT)
    user = Column(name="user_id", title="User", link=TO_USER)
    return (
        _top("Rules", rule, found.top_rules(audience)),
        _top("Merchants", merchant, found.top_of_many(audience, "merchant_id")),
        _top("Users", user, found.top_of_many(audience, "user_id")),
        _top("Countries", country, found.top(audience, "country")),
        _map(audience),
    )


def _map(audience: Audience) -> Panel:
    return worldmap(
        "Map",
        "Every country with anomalies in the time shown: the more, the larger; in the colour of the worst. "
        "Healthy: circles where customers live, none of them new.",
        found.top(audience, "country", ALL_COUNTRIES),
        country="country",
        count="count",
        rank="worst",
        width=16,
        height=9,
    )


def _top(title: str, name: Column, query: Query) -> Panel:
    return table(
        title,
        "The ten with the most anomalies in the time shown. Healthy: no name stands far above the others; "
        "one that does is either an incident or a rule that is too eager.",
        query,
        (
            name,
            Column(name="count", title="Anomalies", cell="lcd-gauge", width=95),
            Column(name="worst", title="Worst", rank=True, width=70),
        ),
        width=8,
        height=9,
    )
