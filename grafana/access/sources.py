"""The data sources of an organisation: each asks InfluxDB with the token of its role and no other."""

import hashlib
import time
from typing import Any, Literal

import msgspec
from grafana_client.client import GrafanaException

from grafana.access.server import Json, found
from grafana.access.work import Work
from grafana.audience import OPERATIONS, Audience
from grafana.datasources import datasources

MARK = "tokenMark"
"""Grafana never shows a token again, so what was given is known by a hash of it."""

MARK_LETTERS = 16

REMEMBERED_SECONDS = 6
"""How long Grafana may go on with what a data source was before it changed (5 s, seen in 9.3)."""

COMPARED = ("name", "type", "access", "url", "isDefault", "database", "jsonData")


class Influx(msgspec.Struct, frozen=True, kw_only=True):
    """Where Grafana finds InfluxDB, as seen from Grafana."""

    url: str
    org: str


def known_influx(api: Any) -> Influx | None:
    """Return what the files of `provisioning/` told Grafana, None where it did not load them.

    `api` is the client within the first organisation.
    """
    loaded = found(lambda: api.datasource.get_datasource_by_uid(OPERATIONS.flux))
    if loaded is None:
        return None
    return Influx(url=loaded["url"], org=loaded["jsonData"].get("organization", ""))


def bring_sources(work: Work, api: Any, audience: Audience, influx: Influx, token: str) -> None:
    """Make the data sources that are missing, bring up to date those that differ, and try each.

    `api` is the client within the organisation.
    """
    all_wanted = datasources(audience, url=influx.url, token=token, org=influx.org)
    was = {wanted["uid"]: _bring(work, api, _marked(wanted, token)) for wanted in all_wanted}
    if "other" in was.values() and not work.dry_run:
        time.sleep(REMEMBERED_SECONDS)
    for wanted in all_wanted:
        if was[wanted["uid"]] != "missing" or not work.dry_run:
            _try(work, api, wanted)


def _marked(source: Json, token: str) -> Json:
    mark = hashlib.sha256(token.encode()).hexdigest()[:MARK_LETTERS]
    rest = {name: value for name, value in source.items() if name != "editable"}
    return {**rest, "jsonData": {**source["jsonData"], MARK: mark}}


def _bring(work: Work, api: Any, wanted: Json) -> Literal["missing", "other", "same"]:
    """Return what was there before."""
    name, uid = wanted["name"], wanted["uid"]
    present = found(lambda: api.datasource.get_datasource_by_uid(uid))
    if present is None:
        work.change(f"data source {name} made", lambda: api.datasource.create_datasource(wanted))
        return "missing"
    if present.get("readOnly"):
        work.found(f"data source {name}, from files")
    elif differing := [each for each in COMPARED if present.get(each, "") != wanted.get(each, "")]:
        work.change(
            f"data source {name} brought up to date ({', '.join(differing)})",
            lambda: api.datasource.update_datasource_by_uid(uid, wanted),
        )
        return "other"
    else:
        work.found(f"data source {name}")
    return "same"


def _try(work: Work, api: Any, wanted: Json) -> None:
    """Ask whether it answers."""
    try:
        api.datasource.health(wanted["uid"])
    except GrafanaException as error:
        work.fault(f"data source {wanted['name']} does not work: {error.message}")
