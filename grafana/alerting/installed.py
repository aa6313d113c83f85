"""Rules in the forms in which they reach Grafana: groups in a file, and objects of its HTTP API."""

from typing import Any

from grafana.alerting import counting, watching
from grafana.alerting.rule import Rule, rule_json
from grafana.audience import OPERATIONS
from grafana.dashboards import pages_of

Json = dict[str, Any]

FOLDER = "txwatch alerts"
EDITABLE_FOLDER = {"uid": "txwatch-editable", "title": "Alert rules to edit"}
GROUP = "txwatch"
EVERY = "1m"


def provisioned() -> list[Json]:
    """Return the groups for the file: what watches txwatch itself."""
    group = {"orgId": 1, "name": GROUP, "folder": FOLDER, "interval": EVERY}
    return [{**group, "rules": [_with_panel(rule) for rule in watching.RULES]}]


def editable() -> list[Json]:
    """Return what `POST /api/v1/provisioning/alert-rules` takes, for who sends `X-Disable-Provenance`.

    The folder is `EDITABLE_FOLDER`.  Rules that are there already belong to who edits them.
    """
    place = {"orgID": 1, "folderUID": EDITABLE_FOLDER["uid"], "ruleGroup": GROUP}
    return [{**place, **_with_panel(rule)} for rule in counting.RULES]


def _with_panel(rule: Rule) -> Json:
    return rule_json(rule, _panel_id(rule.page, rule.panel))


def _panel_id(page: str, panel: str) -> int:
    """Return the number of a panel on its page; a title that is not there is a fault of ours."""
    made = next(each for each in pages_of(OPERATIONS) if each.uid == page).json()
    return int(next(each["id"] for each in made["panels"] if each["title"] == panel))
