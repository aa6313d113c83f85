"""One alert rule: a question, the condition on its answer, and what a person does about it."""

from typing import Any, Literal

import msgspec

from grafana.panels.query import Query

Json = dict[str, Any]

EXPRESSION = "__expr__"
"""Grafana's name for its own arithmetic as a data source."""

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule; it fires for each row of the query's answer of which the condition holds for `lasting`.

    The query brings rows of one number (`$A` in `condition`) and texts, which become the alert's labels.
    """

    uid: str
    """Never changes: Grafana finds the rule again by it."""
    title: str
    query: Query
    back: int
    """Seconds before now that the query looks at."""
    condition: str
    lasting: str
    urgency: Literal["page", "look"]
    """`page`: somebody is called.  `look`: during working hours."""
    meaning: str
    """Go template: `$labels`, `$values.A`."""
    advice: str
    page: str
    """The uid of the dashboard that shows more."""
    panel: str
    """The title of the panel there."""
    filters: str = ""
    """Go template: what narrows that page down, as part of its address."""
    silent: Literal["OK", "Alerting"] = "Alerting"
    """What it is when the query brings no row."""
    broken: Literal["Error", "Alerting"] = "Error"
    """What it is when the query fails."""


def rule_json(rule: Rule, panel_id: int) -> Json:
    """Return what Grafana's files and its HTTP API share."""
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": "B",
        "data": [_question(rule), _condition(rule)],
        "noDataState": rule.silent,
        "execErrState": rule.broken,
        "for": rule.lasting,
        "annotations": {
            "summary": rule.meaning,
            "advice": rule.advice,
            "filters": rule.filters,
            "__dashboardUid__": rule.page,
            "__panelId__": str(panel_id),
        },
        "labels": {"urgency": rule.urgency, "product": "txwatch"},
    }


def _question(rule: Rule) -> Json:
    return {
        "refId": "A",
        "relativeTimeRange": {"from": rule.back, "to": 0},
        "datasourceUid": rule.query.uid,
        "model": rule.query.json("A") | {"intervalMs": 60_000, "maxDataPoints": 10_000},
    }


def _condition(rule: Rule) -> Json:
    return {
        "refId": "B",
        "relativeTimeRange": {"from": rule.back, "to": 0},
        "datasourceUid": EXPRESSION,
        "model": {
            "refId": "B",
            "type": "math",
            "expression": rule.condition,
            "datasource": {"type": EXPRESSION, "uid": EXPRESSION},
            "intervalMs": 60_000,
            "maxDataPoints": 10_000,
        },
    }
