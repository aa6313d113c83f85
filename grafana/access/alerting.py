"""Alert rules in a running Grafana: those of files must be there, those to edit are installed once."""

from typing import Any

from grafana.access.pages import EDIT, LOOK_ONLY, bring_folder
from grafana.access.roles import ADMINISTRATORS
from grafana.access.server import Json
from grafana.access.work import Work
from grafana.alerting import watching
from grafana.alerting.installed import EDITABLE_FOLDER, editable

PLACEHOLDER = "example.invalid"
"""How the addresses end that `txwatch init` puts where it knows none."""


def bring_rules(work: Work, api: Any, teams: dict[str, int], *, force: bool) -> None:
    """Install the rules that administrators edit; a rule that is there is theirs, unless `force`.

    `api` is the client within operations, `teams` has the numbers of its teams.
    """
    rights = [*LOOK_ONLY]
    if ADMINISTRATORS in teams:
        rights.append({"teamId": teams[ADMINISTRATORS], "permission": EDIT})
    bring_folder(work, api, EDITABLE_FOLDER, rights)
    present = _present(api)
    for rule in editable():
        _install(work, api, rule, there=rule["uid"] in present, force=force)
    _look_for_provisioned(work, present)
    _look_for_addresses(work, api)


def _install(work: Work, api: Any, rule: Json, *, there: bool, force: bool) -> None:
    own = api.alertingprovisioning
    if not there:
        work.change(
            f"alert rule {rule['title']} installed",
            lambda: own.create_alertrule(rule, disable_provenance=True),
        )
    elif force:
        work.change(
            f"alert rule {rule['title']} put back as shipped",
            lambda: own.update_alertrule(rule["uid"], rule, disable_provenance=True),
        )
    else:
        work.found(f"alert rule {rule['title']}, edited in Grafana from now on")


def _look_for_provisioned(work: Work, present: set[str]) -> None:
    missing = [rule.title for rule in watching.RULES if rule.uid not in present]
    if missing:
        work.fault(f"alert rules of files are missing: {', '.join(missing)}; is `provisioning/` mounted?")
    else:
        work.found(f"{len(watching.RULES)} alert rules of files")


def _present(api: Any) -> set[str]:
    """Return the uid of every rule; asked for one that is not there, Grafana 9.3 fails instead."""
    groups = api.client.GET("/ruler/grafana/api/v1/rules")
    return {
        rule["grafana_alert"]["uid"]
        for folder in groups.values()
        for group in folder
        for rule in group["rules"]
    }


def _look_for_addresses(work: Work, api: Any) -> None:
    points = api.alertingprovisioning.get_contactpoints()
    for name in sorted({each["name"] for each in points if PLACEHOLDER in str(each.get("settings", {}))}):
        work.fault(f"contact point {name} tells nobody: put addresses into .env")
