"""How Grafana itself must be set, so that what the organisations keep apart stays apart."""

from typing import Any, NamedTuple

from grafana.access.work import Work


class Setting(NamedTuple):
    """One of Grafana's settings, the only value that is safe, and what the other one would open."""

    section: str
    name: str
    value: str
    why: str


SETTINGS = (
    Setting("auth.anonymous", "enabled", "false", "anybody would see dashboards without a name"),
    Setting("users", "allow_sign_up", "false", "anybody could make an account"),
    Setting("users", "allow_org_create", "false", "people could make organisations of their own"),
    Setting("users", "viewers_can_edit", "false", "viewers could change what they see"),
    Setting("security", "allow_embedding", "false", "another page could show ours and catch clicks"),
    Setting("security", "cookie_secure", "true", "a session could be read on the way"),
    Setting("security", "disable_gravatar", "true", "people's addresses would be told to a third party"),
    Setting("snapshots", "external_enabled", "false", "data could be published with one click"),
    Setting("dataproxy", "logging", "false", "questions, with ids in them, would stand in the log"),
)


def look_at_settings(work: Work, api: Any) -> None:
    """Compare; changing them takes Grafana's environment and a restart, so a difference is a fault."""
    given = api.admin.settings()
    for setting in SETTINGS:
        value = given.get(setting.section, {}).get(setting.name, "")
        if value == setting.value:
            work.found(f"setting [{setting.section}] {setting.name}={value}")
        else:
            work.fault(
                f"setting [{setting.section}] {setting.name} is {value or 'not there'}: {setting.why}; "
                f"set GF_{_variable(setting)}={setting.value} in its environment"
            )


def _variable(setting: Setting) -> str:
    return f"{setting.section}_{setting.name}".upper().replace(".", "_")
