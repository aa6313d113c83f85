"""Anomaly: everything that is known of one, so that a person can decide."""

from grafana.audience import Audience
from grafana.dashboards.links import ANOMALY, TO_MERCHANT, TO_USER
from grafana.dashboards.shared import anomaly_table, changes
from grafana.panels.look import Column, override, severity_mapping
from grafana.panels.page import Page, Row
from grafana.panels.panel import Panel, course, number, table
from grafana.queries import one
from grafana.queries.choices import carried

HIDDEN = (
    "anomaly_id",
    "severity",
    "score",
    "reason",
    "entity_kind",
    "entity_id",
    "late",
    "rules",
    "mode",
    "kind",
)
"""What other panels show, or the anomaly's own page does not need."""


def anomaly(audience: Audience) -> Page:
    """Return the page that lists of anomalies link to."""
    return Page(
        uid=ANOMALY,
        title="Anomaly",
        help="Everything that is known of one anomaly.",
        variables=(*one.variables(audience), *carried()),
        annotations=(changes(audience),),
        rows=(
            Row(title="What", panels=(_severity(audience), _score(audience), _itself(audience))),
            Row(title="Why", panels=(_reasons(audience),)),
            Row(title="The user's hour", panels=(_hour(audience), _hour_rows(audience))),
            Row(title="What became of it", panels=(_handling(audience),)),
            Row(title="What else", panels=(_history(audience), _same_place(audience))),
        ),
    )


def _severity(audience: Audience) -> Panel:
    return number(
        "Severity",
        "How urgently to look: critical at once, high today, medium when there is time. Healthy: critical "
        "ones are rare, and looked at.",
        one.word_of_it(audience, "severity"),
        fields="/severity/",
        overrides=[override("severity", {"mappings": [severity_mapping()]})],
        width=3,
        height=5,
    )


def _score(audience: Audience) -> Panel:
    return number(
        "Score",
        "0 to 100, higher is stranger; 50 is even odds. Healthy: those near 100 are few, and turn "
        "out to be fraud.",
        one.word_of_it(audience, "score"),
        decimals=1,
        start="text",
        width=3,
        height=5,
    )


def _itself(audience: Audience) -> Panel:
    columns = (
        Column(name="_time", title="Time", unit="dateTimeAsIso", width=165),
        Column(name="type", title="Type", width=90),
        Column(name="amount", title="Amount", decimals=2, width=90),
        Column(name="currency", title="Currency", width=80),
        Column(name="status", title="Status", width=90),
        Column(name="user_id", title="User", link=TO_USER, width=190),
        Column(name="merchant_id", title="Merchant", link=TO_MERCHANT, width=100),
        Column(name="channel", title="Channel", width=100),
        Column(name="country", title="Country", width=80),
        Column(name="transaction_id", title="Transaction", width=130),
        *(Column(name=name, hidden=True) for name in HIDDEN),
    )
    return table(
        "The transaction",
        "What was paid, by whom, where. Links lead to the history of the user and of the merchant. Healthy: "
        "a merchant, a country and a channel that the user has used before.",
        one.itself(audience),
        columns,
        width=18,
        height=5,
    )


def _reasons(audience: Audience) -> Panel:
    columns = (
        Column(
            name="contribution", title="Share", unit="percent", cell="gradient-gauge", most=100, width=160
        ),
        Column(name="sentence", title="Reason"),
        Column(name="observed", title="Observed", decimals=2, width=100),
        Column(name="expected", title="Expected", decimals=2, width=100),
        Column(name="baseline_size", title="From so many", width=120),
        Column(name="baseline_level", title="Compared with", width=130),
        Column(name="type", title="Type", width=90),
        Column(name="code", title="Detector or rule", width=190),
    )
    return table(
        "Reasons",
        "What speaks for it, the strongest first; shares add up to 100 %. A reason from many observations of "
        "the entity itself weighs more than one from a few, or from everybody. Healthy: one weak reason "
        "from few observations; several strong ones of different types together are seldom chance.",
        one.reasons(audience),
        columns,
        width=24,
        height=7,
    )


def _hour(audience: Audience) -> Panel:
    return course(
        "Amounts within an hour",
        "The user's payments in the hour before, and after as far as they were known when it was found. "
        "Healthy: it looks like the others.",
        one.hour_drawn(audience),
        draw="points",
        points="always",
        name="${__field.labels.which}",
        overrides=[
            {
                "matcher": {"id": "byRegexp", "options": "/this one/"},
                "properties": [
                    {"id": "color", "value": {"mode": "fixed", "fixedColor": "#c4162a"}},
                    {"id": "custom.pointSize", "value": 12},
                ],
            }
        ],
        width=10,
        height=9,
    )


def _hour_rows(audience: Audience) -> Panel:
    columns = (
        Column(name="_time", title="Time", unit="dateTimeAsIso", width=165),
        Column(name="amount", title="Amount", decimals=2, width=90),
        Column(name="currency", title="Currency", width=80),
        Column(name="status", title="Status", width=90),
        Column(name="merchant_id", title="Merchant", link=TO_MERCHANT, width=90),
        Column(name="country", title="Country", width=75),
        Column(name="transaction_id", title="Transaction"),
        Column(name="itself", title="This one", width=85),
        Column(name="channel", hidden=True),
    )
    return table(
        "Transactions within an hour",
        "Look for attempts that were declined before one went through, and for merchants or countries in a "
        "row. Healthy: approved, and few.",
        one.hour(audience),
        columns,
        width=14,
        height=9,
    )


def _handling(audience: Audience) -> Panel:
    columns = (
        Column(name="_time", title="Time", unit="dateTimeAsIso", width=165),
        Column(name="actor", title="Who", width=160),
        Column(name="did", title="Did", width=260),
        Column(name="text", title="Words"),
    )
    return table(
        "Found, and handled",
        "When it was found, who acknowledged its group, took it over, said what it is or wrote about it (the "
        "words are for investigators only). Healthy: somebody did, within the day. Nobody yet: it is yours.",
        one.handling(audience),
        columns,
        width=24,
        height=6,
    )


def _history(audience: Audience) -> Panel:
    return anomaly_table(
        "The user's anomalies, a month back",
        "Healthy: this is the first for long. Several of one type in a row belong together.",
        one.history(audience),
        height=8,
    )


def _same_place(audience: Audience) -> Panel:
    return anomaly_table(
        "At the same merchant, and in the traffic, meanwhile",
        "What else was found in the time shown. Healthy: little. Many at one merchant speak for the "
        "merchant, not the user.",
        one.same_place(audience),
        height=8,
    )
