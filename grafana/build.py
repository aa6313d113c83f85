"""What `provisioning/` holds: every file with its text, a function of the code alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from grafana.alerting.contact import contact_points, templates
from grafana.alerting.installed import provisioned
from grafana.alerting.policy import mute_timings, policies
from grafana.audience import AUDIENCES, OPERATIONS
from grafana.dashboards import pages_of
from grafana.datasources import datasources

HEAD = "# Written by `txwatch grafana build`; change the code in grafana/ instead.\n"
MOUNTED = "/etc/grafana/provisioning"
"""Where the container sees the folder."""


def files() -> dict[str, str]:
    """Return the text of each file, by its path below `provisioning/`."""
    found = {
        "datasources/operations.yaml": _yaml(_datasources()),
        "dashboards/operations.yaml": _yaml(_providers()),
        "alerting/rules.yaml": _yaml({"apiVersion": 1, "groups": provisioned()}),
        "alerting/messages.yaml": _yaml(_messages()),
    }
    for audience in AUDIENCES:
        for page in pages_of(audience):
            found[f"dashboards/{audience.name}/{page.uid}.json"] = _json(page.json())
    return found


def build(folder: Path, wanted: Mapping[str, str], *, check: bool) -> list[str]:
    """Write what differs and delete dashboards that nothing makes any more; return the paths of both.

    With `check` nothing is changed.
    """
    differing = [path for path, text in wanted.items() if _read(folder / path) != text]
    made = {str(path.relative_to(folder)) for path in folder.glob("dashboards/*/*.json")}
    orphans = sorted(made - set(wanted))
    if not check:
        for path in differing:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(wanted[path])
        for path in orphans:
            (folder / path).unlink()
    return [*differing, *orphans]


def _datasources() -> dict[str, Any]:
    """Return the first organisation's; tokens come from the environment of Grafana, never from a file."""
    made = datasources(
        OPERATIONS,
        url="$TXWATCH_GRAFANA_INFLUX_URL",
        token="$TXWATCH_INFLUX_TOKEN_OPERATOR",  # noqa: S106 - the name of the variable, not the token
        org="$TXWATCH_GRAFANA_INFLUX_ORG",
    )
    return {"apiVersion": 1, "datasources": [{**each, "orgId": 1} for each in made]}


def _providers() -> dict[str, Any]:
    provider = {
        "name": "txwatch",
        "orgId": 1,
        "folder": "txwatch",
        "folderUid": "txwatch",
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": f"{MOUNTED}/dashboards/{OPERATIONS.name}"},
    }
    return {"apiVersion": 1, "providers": [provider]}


def _messages() -> dict[str, Any]:
    return {
        "apiVersion": 1,
        "templates": templates(),
        "contactPoints": contact_points(),
        "muteTimes": mute_timings(),
        "policies": policies(),
    }


def _yaml(content: dict[str, Any]) -> str:
    return HEAD + yaml.dump(content, Dumper=_Readable, sort_keys=False, width=110)


class _Readable(yaml.SafeDumper):
    """Writes texts of several lines, such as queries, as they are."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)
_Readable.ignore_aliases = lambda *_: True  # type: ignore[method-assign]  # shared lists are written out


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None
