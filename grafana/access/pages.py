"""Folders, who may do what in them, dashboards, and the page that opens first."""

from functools import partial
from typing import Any

from grafana_client.model import PersonalPreferences

from grafana.access.server import Json, found
from grafana.access.work import Work
from grafana.audience import Audience
from grafana.dashboards import pages_of

FOLDER = {"uid": "txwatch", "title": "txwatch"}

VIEW, EDIT = 1, 2
"""Grafana's numbers for what a folder allows."""

LOOK_ONLY: list[Json] = [{"role": "Viewer", "permission": VIEW}, {"role": "Editor", "permission": VIEW}]
"""Dashboards are code: who may edit elsewhere only looks at them."""

GIVEN_BY_GRAFANA = ("id", "version")
WHO = ("role", "teamId", "userId")


def bring_pages(work: Work, api: Any, audience: Audience) -> None:
    """Bring folder, dashboards and first page up to date; `api` is the client within the organisation."""
    bring_folder(work, api, FOLDER, LOOK_ONLY)
    pages = {page.uid: page.json() for page in pages_of(audience)}
    for uid, page in pages.items():
        _bring(work, api, uid, page)
    _remove_others(work, api, set(pages))
    _open_first(work, api, next(iter(pages)))


def bring_folder(work: Work, api: Any, folder: Json, rights: list[Json]) -> None:
    """Make the folder if it is missing, and give exactly these rights in it."""
    uid, title = folder["uid"], folder["title"]
    present = found(lambda: api.folder.get_folder(uid))
    if present is None:
        work.change(f"folder {title} made", lambda: api.folder.create_folder(title, uid))
        if work.dry_run:
            return
    given = [each for each in api.folder.get_folder_permissions(uid) if not each.get("inherited")]
    if _comparable(given) == _comparable(rights):
        work.found(f"folder {title} with its rights")
    else:
        items = {"items": rights}
        work.change(f"rights in folder {title} set", lambda: api.folder.update_folder_permissions(uid, items))


def _comparable(rights: list[Json]) -> set[tuple[str, int]]:
    """Return who may do what; of role, team and user just one is named."""
    return {
        (next((f"{who} {each[who]}" for who in WHO if each.get(who)), "nobody"), each["permission"])
        for each in rights
    }


def _bring(work: Work, api: Any, uid: str, wanted: Json) -> None:
    present = found(lambda: api.dashboard.get_dashboard(uid))
    title = wanted["title"]
    if present is not None and _same(present["dashboard"], wanted):
        work.found(f"dashboard {title}")
    elif present is not None and present["meta"].get("provisioned"):
        work.fault(f"dashboard {title} comes from files that differ: is `provisioning/` current and mounted?")
    else:
        body = {"dashboard": wanted, "folderUid": FOLDER["uid"], "overwrite": True}
        verb = "made" if present is None else "brought up to date"
        work.change(f"dashboard {title} {verb}", lambda: api.dashboard.update_dashboard(body))


def _same(present: Json, wanted: Json) -> bool:
    """Tell whether Grafana has what the code says.

    A later release brings a dashboard up to its own form when it loads it: then what people see and what
    is asked for it must be the same.
    """
    if present.get("schemaVersion") != wanted["schemaVersion"]:
        return _essence(present) == _essence(wanted)
    return _content(present) == _content(wanted)


def _content(dashboard: Json) -> Json:
    return {name: value for name, value in dashboard.items() if name not in GIVEN_BY_GRAFANA}


def _essence(dashboard: Json) -> list[Any]:
    panels = [
        (
            panel.get("title"),
            panel.get("description"),
            [each.get("query") for each in panel.get("targets", ())],
        )
        for panel in dashboard.get("panels", ())
    ]
    return [dashboard.get("title"), panels]


def _remove_others(work: Work, api: Any, wanted: set[str]) -> None:
    """Delete dashboards in our folder that nothing makes any more."""
    for each in api.search.search_dashboards(type_="dash-db"):
        if each.get("folderUid") == FOLDER["uid"] and each["uid"] not in wanted:
            work.change(
                f"dashboard {each['title']} deleted: the code has none of that name",
                partial(api.dashboard.delete_dashboard, each["uid"]),
            )


def _open_first(work: Work, api: Any, uid: str) -> None:
    if api.organization.get_preferences().get("homeDashboardUID") == uid:
        work.found("first page")
        return
    wanted = PersonalPreferences(homeDashboardUID=uid)
    work.change("first page set", lambda: api.organization.patch_preferences(wanted))
