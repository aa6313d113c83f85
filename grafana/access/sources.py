"""The data sources of an organisation: each asks InfluxDB with the token of its role and no other."""

import hashlib
import time
from typing import Any

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
    for wanted in datasources(audience, url=influx.url, token=token, org=influx.org):
        _bring(work, api, _marked(wanted, token))
        _try(work, api, wanted)


def _marked(source: Json, token: str) -> Json:
    mark = hashlib.sha256(token.encode()).hexdigest()[:MARK_LETTERS]
    rest = {name: value for name, value in source.items() if name != "editable"}
    return {**rest, "jsonData": {**source["jsonData"], MARK: mark}}


def _bring(work: Work, api: Any, wanted: Json) -> None:
    name, uid = wanted["name"], wanted["uid"]
    present = found(lambda: api.datasource.get_datasource_by_uid(uid))
    if present is None:
        work.change(f"data source {name} made", lambda: api.datasource.create_datasource(wanted))
    elif present.get("readOnly"):
        work.found(f"data source {name}, from files")
    elif differing := [each for each in COMPARED if present.get(each, "") != wanted.get(each, "")]:
        work.change(
            f"data source {name} brought up to date ({', '.join(differing)})",
            lambda: api.datasource.update_datasource_by_uid(uid, wanted),
        )
    else:
        work.found(f"data source {name}")


def _try(work: Work, api: Any, wanted: Json) -> None:
    """Ask whether it answers; one that is not made yet has nothing to say."""
    if work.dry_run and found(lambda: api.datasource.get_datasource_by_uid(wanted["uid"])) is None:
        return
    refusal = _refusal(api, wanted["uid"])
    for _ in range(0 if work.dry_run or not refusal else REMEMBERED_SECONDS):
        time.sleep(1)
        refusal = _refusal(api, wanted["uid"])
        if not refusal:
            break
    if refusal:
        work.fault(f"data source {wanted['name']} does not work: {refusal}")


def _refusal(api: Any, uid: str) -> str:
    """Return why the data source does not answer, nothing where it does."""
    try:
        api.datasource.health(uid)
    except GrafanaException as error:
        return str(error.message)
    return ""
