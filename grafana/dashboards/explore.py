"""Explore: how anomalies are spread over amounts, scores, types, hours and rules."""

from grafana.audience import Audience
from grafana.dashboards.links import EXPLORE, only
from grafana.dashboards.shared import changes
from grafana.panels.look import Column, severity_overrides
from grafana.panels.page import Page, Row
from grafana.panels.panel import Panel, bars, density, table
from grafana.panels.query import Query
from grafana.queries import spread
from grafana.queries.choices import filters
from grafana.queries.flux import SEVERITIES


def explore(audience: Audience) -> Page:
    """Return the page for questions that nobody asked before."""
    return Page(
        uid=EXPLORE,
        title="Explore",
        help="How anomalies are spread over amounts, scores, types, hours and rules.",
        variables=filters(audience),
        annotations=(changes(audience),),
        since="now-7d",
        rows=(
            Row(title="What", panels=(_types(audience), _amounts(audience), _scores(audience))),
            Row(title="When", panels=(_hours(audience), _weekdays(audience), _scores_over_time(audience))),
            Row(title="Which rules go together", panels=(_together(audience),)),
        ),
    )


def _spread(title: str, help_text: str, query: Query) -> Panel:
    return bars(
        title,
        help_text,
        query,
        category="which",
        stack=True,
        overrides=severity_overrides(),
        order=("which", *SEVERITIES),
        width=8,
        height=9,
    )


def _types(audience: Audience) -> Panel:
    return _spread(
        "By type",
        "The type of the strongest reason. Healthy: several types; one alone is an incident or a detector "
        "that drowns the others.",
        spread.types(audience),
    )


def _amounts(audience: Audience) -> Panel:
    return _spread(
        "By amount",
        "As it was sent, in its own currency. Healthy: large amounts are graded higher; a heap of tiny ones "
        "is how cards are tried out.",
        spread.amounts(audience),
    )


def _scores(audience: Audience) -> Panel:
    return _spread(
        "By score",
        "Healthy: fewer the higher the score. A heap at the right end: something many share is strange.",
        spread.scores(audience),
    )


def _hours(audience: Audience) -> Panel:
    return _spread(
        "By hour of the day (UTC)",
        "Healthy: follows the traffic; many at night, when few pay, deserve a look.",
        spread.hours(audience),
    )


def _weekdays(audience: Audience) -> Panel:
    return _spread(
        "By day of the week (UTC)",
        "Healthy: follows the traffic. A day that stands out in several weeks is a habit to teach a "
        "calendar.",
        spread.weekdays(audience),
    )


def _scores_over_time(audience: Audience) -> Panel:
    return density(
        "Scores over time",
        "The brighter, the more anomalies with such a score. Healthy: an even band that thins out upwards.",
        spread.scores_over_time(audience),
        width=8,
        height=9,
    )


def _together(audience: Audience) -> Panel:
    columns = (
        Column(name="code_one", title="Rule", link=only("rule", "code_one")),
        Column(name="code_other", title="Hits together with", link=only("rule", "code_other")),
        Column(name="count", title="Anomalies", cell="lcd-gauge", width=400),
    )
    return table(
        "Rules that hit the same transactions",
        "Healthy: rules overlap where they describe one fraud. Two that always hit together say one thing "
        "twice.",
        spread.together(audience),
        columns,
        width=24,
        height=9,
    )
