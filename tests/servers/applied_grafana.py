"""A Grafana to which `txwatch grafana apply` is applied as an administrator would.

TXWATCH_GRAFANA_HOME names the folder of a built or unpacked Grafana, which is started with the environment
and files of docker-compose.yml; TXWATCH_GRAFANA_URL a running one that may be filled, whose administrator's
password is TXWATCH_GRAFANA_PASSWORD.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from grafana_server import PASSWORD, GrafanaServer, as_administrator
from influx_fixtures import InfluxStores

from grafana.audience import AUDIENCES, Audience
from txwatch.init.envfile import read_env

HOME = os.environ.get("TXWATCH_GRAFANA_HOME", "")
RUNNING = os.environ.get("TXWATCH_GRAFANA_URL", "")

PEOPLE = """\
people:
  - {login: olga, name: Olga Reyes, email: olga@example.org, roles: [operator]}
  - {login: ivan, roles: [investigator]}
  - {login: ada, roles: [administrator]}
programs:
  - {name: wallboard, role: operator}
"""


class AppliedGrafana:
    """Where it is; `run` and `steps` are the administrator's commands, `ask` is what people may ask it."""

    def __init__(self, url: str, password: str, stores: InfluxStores, folder: Path) -> None:
        self.url, self.password, self.folder = url, password, folder
        self.people = folder / "people.yaml"
        self.people.write_text(PEOPLE)
        names = {"investigator", "administrator", "operator"}
        self.environment = {f"TXWATCH_INFLUX_TOKEN_{role.upper()}": stores.tokens[role] for role in names}

    def run(self, command: str, *options: str, password: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of `txwatch grafana`."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ":".join(sys.path),
            "GRAFANA_ADMIN_PASSWORD": password or self.password,
            **self.environment,
        }
        return subprocess.run(
            [sys.executable, "-m", "txwatch", "grafana", command, "--url", self.url, *options],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def steps(self, command: str, *options: str) -> dict[str, list[str]]:
        """The sentences of a run, by state."""
        done = self.run(command, "--people", str(self.people), "--json", *options)
        assert done.returncode in {0, 1}, done.stderr
        found: dict[str, list[str]] = {}
        for line in map(json.loads, done.stdout.splitlines()):
            found.setdefault(line["state"], []).append(line["sentence"])
        return found

    def secret(self, name: str) -> str:
        """The first password or token that was drawn."""
        return read_env(self.folder / "grafana-secrets.env")[name]

    def ask(self, who: str, audience: Audience, method: str, path: str, body: Any = None) -> Any:
        """What Grafana answers a person, or a program, in an organisation."""
        secret = self.secret(who)
        basic = base64.b64encode(f"{who}:{secret}".encode()).decode()
        login = f"Bearer {secret}" if who == "wallboard" else f"Basic {basic}"
        headers = {"Authorization": login, "Content-Type": "application/json"}
        headers["X-Grafana-Org-Id"] = str(self.numbers[audience.name])
        return urllib3.request(method, self.url + path, headers=headers, body=json.dumps(body))

    @property
    def numbers(self) -> dict[str, int]:
        """The numbers of the organisations."""
        titles = {audience.title: audience.name for audience in AUDIENCES}
        return {titles[each["name"]]: each["id"] for each in self.call("GET", "/api/orgs")}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """What it answers its administrator; raises AssertionError when that is none of success."""
        return as_administrator(self.url, self.password, method, path, body, **headers)


@contextmanager
def grafana_at_hand(stores: InfluxStores, folder: Path) -> Iterator[AppliedGrafana]:
    """Start one, or take the one that runs; skip where there is neither.  Nothing is applied yet."""
    known = {"TXWATCH_GRAFANA_INFLUX_URL": stores.server.url, "TXWATCH_GRAFANA_INFLUX_ORG": stores.org}
    if RUNNING:
        applied = AppliedGrafana(RUNNING, os.environ["TXWATCH_GRAFANA_PASSWORD"], stores, folder)
        applied.environment |= known
        yield applied
        return
    if not HOME:
        pytest.skip("no Grafana at hand: TXWATCH_GRAFANA_HOME or TXWATCH_GRAFANA_URL names one")
    values = {"TXWATCH_INFLUX_TOKEN_OPERATOR": stores.tokens["operator"]}
    server = GrafanaServer(Path(HOME), folder, values, known)
    try:
        server.start()
        yield AppliedGrafana(server.url, PASSWORD, stores, folder)
    finally:
        server.close()
