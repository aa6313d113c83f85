"""Administration: who changed what, and when."""

from grafana.audience import Audience
from grafana.dashboards.decided import hidings, rules, versions
from grafana.dashboards.links import ADMINISTRATION
from grafana.panels.look import Column, Link
from grafana.panels.page import Page, Row
from grafana.panels.panel import Panel, table
from grafana.queries import audit

THESE = Link(
    title="Only these",
    url=f"/d/{ADMINISTRATION}?var-action=${{__data.fields.action}}&${{__url_time_range}}",
)


def administration(audience: Audience) -> Page:
    """Return the page of an organisation of its own, which sees the audit and nothing else."""
    return Page(
        uid=ADMINISTRATION,
        title="Administration",
        help="Who changed what, and when.",
        variables=audit.variables(audience),
        since="now-90d",
        rows=(
            Row(title="Rules", panels=(rules(audience), versions(audience))),
            Row(title="What is hidden", panels=(hidings(audience),)),
            Row(title="Audit", panels=(_actions(audience), _records(audience))),
        ),
    )


def _actions(audience: Audience) -> Panel:
    columns = (
        Column(name="action", title="Action", link=THESE),
        Column(name="count", title="Times", width=110),
        Column(name="last", title="Last", unit="dateTimeAsIso", width=165),
    )
    return table(
        "Actions",
        "What was done, how often, and when last. Healthy: changes that somebody announced.",
        audit.actions(audience),
        columns,
        width=8,
        height=16,
    )


def _records(audience: Audience) -> Panel:
    columns = (
        Column(name="_time", title="Time", unit="dateTimeAsIso", width=165),
        Column(name="number", title="Number", decimals=0, width=80),
        Column(name="actor", title="Who", width=130),
        Column(name="action", title="Did", width=180),
        Column(name="facts", title="Facts"),
        Column(name="hash", title="Hash", width=120),
    )
    return table(
        "Audit",
        "The newest 1,000 records that the filters above let through. Healthy: without filters, numbers have "
        "no gaps; a missing one was taken out of this copy. The ledger's own chain of hashes counts; "
        "`txwatch doctor` verifies it.",
        audit.records(audience),
        columns,
        width=16,
        height=16,
    )
