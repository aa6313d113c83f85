"""What several pages have: the table of anomalies, the marks of changes."""

from grafana.audience import Audience
from grafana.dashboards.links import TO_ANOMALY, TO_MERCHANT, TO_USER
from grafana.panels.look import Column, Json, named_by_severity
from grafana.panels.page import Annotation
from grafana.panels.panel import Panel, table
from grafana.panels.query import Query
from grafana.queries import found

HIDDEN = ("anomaly_id", "channel", "entity_kind", "entity_id", "from", "to")
"""What links and searches need of a row."""

ANOMALY_COLUMNS = (
    Column(name="_time", title="Time", unit="dateTimeAsIso", width=165),
    Column(name="severity", title="Severity", severity=True, width=80),
    Column(name="score", title="Score", decimals=1, width=70),
    Column(name="type", title="Type", width=90),
    Column(name="reason", title="Reason", link=TO_ANOMALY),
    Column(name="amount", title="Amount", decimals=2, width=90),
    Column(name="currency", title="Currency", width=75),
    Column(name="user_id", title="User", link=TO_USER, width=190),
    Column(name="merchant_id", title="Merchant", link=TO_MERCHANT, width=90),
    Column(name="country", title="Country", width=75),
    Column(name="transaction_id", title="Transaction", width=120),
    *(Column(name=name, hidden=True) for name in HIDDEN),
)


BIG_POINTS: Json = {
    "custom.drawStyle": "points",
    "custom.showPoints": "always",
    "custom.pointSize": 10,
}


def anomaly_table(title: str, help_text: str, query: Query, height: int = 12) -> Panel:
    """Return a table of anomalies, each linked to its page and to those of its user and merchant."""
    return table(title, help_text, query, ANOMALY_COLUMNS, width=24, height=height)


def anomalies_drawn() -> list[Json]:
    """Return what makes amounts of anomalies large points in the colours of their severities."""
    drawn = named_by_severity()
    for each in drawn:
        each["properties"] += [{"id": key, "value": value} for key, value in BIG_POINTS.items()]
    return drawn


def changes(audience: Audience) -> Annotation:
    """Return the marks of changed rules, models and code."""
    return Annotation(name="Rules, models, code", query=found.changes(audience), colour="#b877d9")
