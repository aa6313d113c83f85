"""User: what one user does, and what of it was strange."""

from grafana.audience import Audience
from grafana.dashboards.links import TO_MERCHANT, USER, only
from grafana.dashboards.shared import BIG_POINTS, anomalies_drawn, anomaly_table, changes
from grafana.panels.look import ACT, Column, Json, named_frame, override
from grafana.panels.page import Page, Row
from grafana.panels.panel import Panel, course, table
from grafana.panels.query import Query
from grafana.queries import user as asked
from grafana.queries.choices import carried

POINTS = {**BIG_POINTS, "custom.pointSize": 5, "color": {"mode": "fixed", "fixedColor": "blue"}}
DASHED = {
    "custom.lineStyle": {"fill": "dash", "dash": [8, 6]},
    "custom.fillOpacity": 0,
    "custom.spanNulls": True,
    "color": {"mode": "fixed", "fixedColor": "text"},
}


AMOUNTS = "Amounts of ${who}"
"""Says who it is about where no name was given."""


def user(audience: Audience) -> Page:
    """Return the page of a user: every transaction where the audience may see them."""
    seen = _everything(audience) if audience.sees_transactions else _around_anomalies(audience)
    return Page(
        uid=USER,
        title="User",
        help="What one user does, and what of it was strange.",
        variables=(*asked.variables(audience), *carried("user")),
        annotations=(changes(audience),),
        since="now-7d",
        rows=(
            *seen,
            Row(title="What was strange", panels=(_reasons(audience), _anomalies(audience))),
        ),
    )


def _everything(audience: Audience) -> tuple[Row, ...]:
    amounts = course(
        "Amounts",
        "Each payment is a point; four of five payments of each day lie between the lines. Anomalies are "
        "large points in the colour of their severity. Healthy: few of them, and near the others.",
        asked.amounts(audience),
        asked.usual_amounts(audience),
        asked.anomalous_amounts(audience),
        overrides=[override("payments", POINTS), _dashed("p10"), _dashed("p90"), *anomalies_drawn()],
        width=24,
        height=10,
    )
    frequency = course(
        "Frequency",
        "Transactions in each interval, declined ones in red. Healthy: the usual rhythm of days, declined "
        "ones rare. A burst of small amounts, declined until one goes through, is how stolen cards are "
        "tried out.",
        asked.frequency(audience),
        asked.declined(audience),
        draw="bars",
        interval="1h",
        overrides=[override("declined", {"color": {"mode": "fixed", "fixedColor": ACT}})],
        width=24,
    )
    rows = _transactions(asked.transactions(audience), "Time")
    places = _places(asked.transactions(audience), "Time")
    return (
        Row(title=AMOUNTS, panels=(amounts,)),
        Row(title="How often and where", panels=(frequency, rows, places)),
    )


def _around_anomalies(audience: Audience) -> tuple[Row, ...]:
    amounts = course(
        "Amounts around anomalies",
        "The payments within an hour of each anomaly; others are not shown to operators. The line is what "
        "was usual for the user when amounts were judged; anomalies are large points in the colour of their "
        "severity. Healthy: few of them, and near the line.",
        asked.known_amounts(audience),
        asked.expected_amounts(audience),
        asked.anomalous_amounts(audience),
        overrides=[
            named_frame("A", "payments", POINTS),
            _dashed("expected"),
            *anomalies_drawn(),
        ],
        width=24,
        height=10,
    )
    rows = _transactions(asked.known_transactions(audience), "_time")
    places = _places(asked.known_transactions(audience), "_time")
    return (
        Row(title=AMOUNTS, panels=(amounts,)),
        Row(title="How often and where", panels=(_known_frequency(audience), rows, places)),
    )


def _known_frequency(audience: Audience) -> Panel:
    return course(
        "Frequency around anomalies",
        "Transactions within an hour of each anomaly, ten minutes a bar or more, declined ones in red; "
        "others are not shown to operators. Healthy: one or two a bar, declined ones rare. A burst of small "
        "amounts, declined until one goes through, is how stolen cards are tried out.",
        asked.known_frequency(audience),
        draw="bars",
        name="${__field.labels.which}",
        interval="10m",
        overrides=[
            {
                "matcher": {"id": "byRegexp", "options": "/declined/"},
                "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": ACT}}],
            }
        ],
        width=24,
    )


def _transactions(query: Query, time: str) -> Panel:
    columns = (
        Column(name=time, title="Time", unit="dateTimeAsIso", width=165),
        Column(name="amount", title="Amount", decimals=2, width=100),
        Column(name="currency", title="Currency", width=80),
        Column(name="status", title="Status", width=100),
        Column(name="merchant_id", title="Merchant", link=TO_MERCHANT),
        Column(name="channel", title="Channel"),
        Column(name="country", title="Country"),
        Column(name="transaction_id", title="Transaction"),
    )
    return table(
        "Transactions",
        "The newest first. Healthy: approved, at merchants that the user knows.",
        query,
        columns,
        width=17,
        height=9,
    )


def _places(query: Query, time: str) -> Panel:
    counted: Json = {
        "country": {"operation": "groupby", "aggregations": []},
        "transaction_id": {"operation": "aggregate", "aggregations": ["count"]},
        time: {"operation": "aggregate", "aggregations": ["first"]},
    }
    columns = (
        Column(name="country", title="Country", link=only("country", "Country")),
        Column(name="transaction_id (count)", title="Times", cell="lcd-gauge", width=110),
        Column(name=f"{time} (first)", title="Last", unit="dateTimeAsIso", width=165),
    )
    return table(
        "Places",
        "The countries of these transactions, the one seen last first. Healthy: the same few. One of which "
        "the last time is minutes from another's is a card in two places.",
        query,
        columns,
        first=({"id": "groupBy", "options": {"fields": counted}},),
        width=7,
        height=9,
    )


def _reasons(audience: Audience) -> Panel:
    columns = (
        Column(name="type", title="Type", width=110),
        Column(name="code", title="Detector or rule"),
        Column(name="count", title="Reasons", cell="lcd-gauge", width=200),
        Column(name="most", title="Largest share", unit="percent", decimals=0, width=130),
    )
    return table(
        "What was strange, by kind",
        "Healthy: few, and of different kinds. One kind again and again is a habit that the baseline does "
        "not know yet, or one attack.",
        asked.kinds_of_reasons(audience),
        columns,
        width=24,
        height=7,
    )


def _anomalies(audience: Audience) -> Panel:
    return anomaly_table(
        "Anomalies",
        "The newest first, each linked to its page. Healthy: few, far from each other, and labelled.",
        asked.anomalies(audience),
    )


def _dashed(name: str) -> Json:
    return override(name, DASHED)
