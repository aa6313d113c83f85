"""`txwatch grafana apply` and `check` against a real Grafana: what is made, and who may do what in it.

Where a built Grafana lies is said by TXWATCH_GRAFANA_HOME.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3
from grafana_server import PASSWORD, GrafanaServer
from influx_fixtures import InfluxStores

from grafana.access.hardening import SETTINGS
from grafana.alerting import counting
from grafana.alerting.installed import EDITABLE_FOLDER
from grafana.audience import ADMINISTRATION, AUDIENCES, INVESTIGATIONS, OPERATIONS, Audience
from grafana.dashboards import pages_of
from txwatch.init.envfile import read_env

HOME = os.environ.get("TXWATCH_GRAFANA_HOME", "")

pytestmark = pytest.mark.skipif(not HOME, reason="TXWATCH_GRAFANA_HOME names no built Grafana")

PEOPLE = """\
people:
  - {login: olga, name: Olga Reyes, email: olga@example.org, roles: [operator]}
  - {login: ivan, roles: [investigator]}
  - {login: ada, roles: [administrator]}
programs:
  - {name: wallboard, role: operator}
"""


class Installed:
    """A Grafana to which `txwatch grafana` is applied as an administrator would."""

    def __init__(self, grafana: GrafanaServer, stores: InfluxStores, folder: Path) -> None:
        self.grafana, self.folder = grafana, folder
        self.people = folder / "people.yaml"
        self.people.write_text(PEOPLE)
        names = {"investigator", "administrator", "operator"}
        self._tokens = {f"TXWATCH_INFLUX_TOKEN_{role.upper()}": stores.tokens[role] for role in names}

    def run(self, command: str, *options: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ":".join(sys.path),
            "GRAFANA_ADMIN_PASSWORD": password,
            **self._tokens,
        }
        return subprocess.run(
            [sys.executable, "-m", "txwatch", "grafana", command, "--url", self.grafana.url, *options],
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
        return urllib3.request(method, self.grafana.url + path, headers=headers, body=json.dumps(body))

    @property
    def numbers(self) -> dict[str, int]:
        """The numbers of the organisations."""
        titles = {audience.title: audience.name for audience in AUDIENCES}
        return {titles[each["name"]]: each["id"] for each in self.grafana.call("GET", "/api/orgs")}


@pytest.fixture(scope="module")
def installed(influxdb, tmp_path_factory) -> Iterator[Installed]:
    """Applied once."""
    stores = InfluxStores(influxdb)
    stores.initialise()
    values = {"TXWATCH_INFLUX_TOKEN_OPERATOR": stores.tokens["operator"]}
    extra = {"TXWATCH_GRAFANA_INFLUX_URL": influxdb.url, "TXWATCH_GRAFANA_INFLUX_ORG": stores.org}
    grafana = GrafanaServer(Path(HOME), tmp_path_factory.mktemp("grafana"), values, extra)
    grafana.start()
    with closing(grafana):
        made = Installed(grafana, stores, tmp_path_factory.mktemp("administrator"))
        made.would = made.steps("apply", "--dry-run")
        made.untouched = grafana.call("GET", "/api/orgs")
        made.steps("apply")
        yield made


def asked(audience: Audience, bucket: str) -> dict[str, Any]:
    """A question in Flux about what lies in a bucket, as Grafana's pages put it."""
    query = f'from(bucket: "{bucket}") |> range(start: -1h) |> limit(n: 1)'
    source = {"type": "influxdb", "uid": audience.flux}
    return {"queries": [{"refId": "A", "datasource": source, "query": query}], "from": "now-1h", "to": "now"}


def test_a_dry_run_says_what_would_be_done_and_does_nothing(installed):
    """The organisations are still those of a fresh Grafana."""
    assert "organisation Investigations made" in installed.would["would"]
    assert "done" not in installed.would
    assert [each["name"] for each in installed.untouched] == ["Main Org."]


def test_each_organisation_gets_its_pages_and_sources(installed):
    """All of them; the first has them from files."""
    for audience in AUDIENCES:
        number = str(installed.numbers[audience.name])
        sources = installed.grafana.call("GET", "/api/datasources", **{"X-Grafana-Org-Id": number})
        pages = installed.grafana.call("GET", "/api/search?type=dash-db", **{"X-Grafana-Org-Id": number})

        assert {each["uid"] for each in sources} == {audience.flux, audience.influxql}
        assert {each["uid"] for each in pages} == {page.uid for page in pages_of(audience)}


def test_done_twice_nothing_changes(installed):
    """And nothing differs."""
    again = installed.steps("apply")

    assert set(again) == {"found", "fault"}
    assert installed.steps("check") == again


def test_contact_points_without_addresses_are_named(installed):
    """As `txwatch init` leaves them; nothing else is wrong after it was applied."""
    assert all("tells nobody" in sentence for sentence in installed.steps("check")["fault"])


def test_what_somebody_changed_is_seen_and_put_back(installed):
    """A dashboard, a right and a role."""
    number = installed.numbers["investigations"]
    org = {"X-Grafana-Org-Id": str(number)}
    page = installed.grafana.call("GET", "/api/dashboards/uid/txwatch-now", **org)
    changed = page["dashboard"] | {"title": "Mine"}
    installed.grafana.call(
        "POST", "/api/dashboards/db", {"dashboard": changed, "folderUid": "txwatch", "overwrite": True}, **org
    )
    rights = {"items": [{"role": "Viewer", "permission": 2}]}
    installed.grafana.call("POST", "/api/folders/txwatch/permissions", rights, **org)
    olga = installed.grafana.call("GET", "/api/users/lookup?loginOrEmail=olga")["id"]
    installed.grafana.call("PATCH", f"/api/orgs/1/users/{olga}", {"role": "Admin"})

    would = installed.steps("check")["would"]
    done = installed.steps("apply")["done"]

    assert would == done
    assert len(done) == 3
    assert "olga is Viewer in Operations, no longer Admin" in done
    assert set(installed.steps("apply")) == {"found", "fault"}


def test_somebody_whom_the_file_does_not_name_is_reported_and_goes_with_prune(installed):
    account = {"login": "mara", "password": "somebodys", "OrgId": installed.numbers["investigations"]}
    installed.grafana.call("POST", "/api/admin/users", account)

    faults = installed.steps("check")["fault"]
    done = installed.steps("apply", "--prune")["done"]

    assert any(sentence.startswith("mara is Viewer in Investigations, and") for sentence in faults)
    assert done == ["mara is no longer in Investigations"]


def test_a_new_token_reaches_the_data_source(installed, influxdb):
    """Grafana never shows a token, so it is known by its mark."""
    other = dict(installed._tokens)
    installed._tokens["TXWATCH_INFLUX_TOKEN_INVESTIGATOR"] = "not-a-token"
    changed = installed.steps("apply")
    installed._tokens = other
    back = installed.steps("apply")

    assert len(changed["done"]) == 2
    assert sum("does not work" in sentence for sentence in changed["fault"]) == 2
    assert len(back["done"]) == 2
    assert not any("does not work" in sentence for sentence in back["fault"])


def test_an_edited_alert_rule_stays_unless_forced(installed):
    rule = counting.RULES[0]
    path = f"/api/v1/provisioning/alert-rules/{rule.uid}"
    stored = installed.grafana.call("GET", path)
    stored["for"] = "7m"
    installed.grafana.call("PUT", path, stored, **{"X-Disable-Provenance": "true"})

    installed.steps("apply")
    kept = installed.grafana.call("GET", path)["for"]
    installed.steps("apply", "--force")
    put_back = installed.grafana.call("GET", path)["for"]

    assert (kept, put_back) == ("7m", "0s")


@pytest.mark.parametrize(
    ("who", "audience", "bucket"),
    [
        ("olga", OPERATIONS, "anomalies"),
        ("ivan", OPERATIONS, "anomalies"),
        ("ivan", INVESTIGATIONS, "transactions"),
        ("ada", OPERATIONS, "anomalies"),
        ("ada", ADMINISTRATION, "audit"),
        ("wallboard", OPERATIONS, "anomalies"),
    ],
)
def test_a_person_asks_what_the_organisation_may(installed, who, audience, bucket):
    answer = installed.ask(who, audience, "POST", "/api/ds/query", asked(audience, bucket))

    assert answer.status == 200, answer.data


@pytest.mark.parametrize(
    ("who", "audience"),
    [
        ("olga", INVESTIGATIONS),
        ("olga", ADMINISTRATION),
        ("ivan", ADMINISTRATION),
        ("ada", INVESTIGATIONS),
        ("wallboard", INVESTIGATIONS),
    ],
)
def test_nobody_gets_into_another_organisation(installed, who, audience):
    """Neither by naming it in a header, nor by switching to it."""
    question = asked(audience, "transactions")
    switched = installed.ask(who, OPERATIONS, "POST", f"/api/user/using/{installed.numbers[audience.name]}")
    answer = installed.ask(who, audience, "POST", "/api/ds/query", question)

    assert switched.status >= 400
    assert answer.status >= 400


@pytest.mark.parametrize("bucket", ["transactions", "cases", "audit", "feed", "quarantine"])
def test_an_operator_asks_in_vain_for_what_is_not_for_operators(installed, bucket):
    """Grafana lets viewers ask anything; InfluxDB refuses."""
    answer = installed.ask("olga", OPERATIONS, "POST", "/api/ds/query", asked(OPERATIONS, bucket))

    result = answer.json()["results"]["A"]
    assert answer.status == 400
    assert "could not find bucket" in result["error"] or "unauthorized" in result["error"]


@pytest.mark.parametrize(("who", "allowed"), [("olga", False), ("ivan", False), ("ada", True)])
def test_only_administrators_edit_alert_rules(installed, who, allowed):
    """In the folder for it."""
    path = f"/api/ruler/grafana/api/v1/rules/{EDITABLE_FOLDER['uid']}"
    if installed.ask(who, OPERATIONS, "GET", path).status == 404:
        path = f"/api/ruler/grafana/api/v1/rules/{EDITABLE_FOLDER['title'].replace(' ', '%20')}"
    groups = installed.grafana.call("GET", path)
    (group,) = next(iter(groups.values()))
    answer = installed.ask(who, OPERATIONS, "POST", path, group)

    assert (answer.status < 300) is allowed, answer.data


@pytest.mark.parametrize("who", ["olga", "ivan", "ada"])
def test_nobody_edits_dashboards_data_sources_or_people(installed, who):
    """They are code, or the administrator's of Grafana itself."""
    dashboard = {"dashboard": {"title": "mine", "uid": f"of-{who}"}, "folderUid": "txwatch"}
    attempts = [
        installed.ask(who, OPERATIONS, "POST", "/api/dashboards/db", dashboard),
        installed.ask(who, OPERATIONS, "POST", "/api/datasources", {"name": "x", "type": "influxdb"}),
        installed.ask(who, OPERATIONS, "GET", "/api/admin/settings"),
        installed.ask(who, OPERATIONS, "POST", "/api/admin/users", {"login": "x", "password": "y" * 8}),
    ]

    assert [answer.status for answer in attempts] == [403] * 4


def test_somebody_without_a_name_sees_nothing(installed):
    answer = urllib3.request("GET", f"{installed.grafana.url}/api/search")

    assert answer.status == 401


def test_every_setting_that_keeps_people_apart_is_as_it_must_be(installed):
    """That is what docker-compose.yml sets."""
    found = installed.steps("check")["found"]

    assert sum(sentence.startswith("setting [") for sentence in found) == len(SETTINGS)


def test_a_wrong_password_is_one_sentence(installed):
    done = installed.run("check", password="wrong")

    assert done.returncode == 7
    assert done.stderr.startswith(f"txwatch: Grafana at {installed.grafana.url} does not let us in")
    assert len(done.stderr.splitlines()) == 1


def test_secrets_of_new_people_are_for_their_owner_alone(installed):
    """The file can be read by nobody else, and every secret in it is a different one."""
    file = installed.folder / "grafana-secrets.env"
    drawn = read_env(file)

    assert set(drawn) == {"olga", "ivan", "ada", "wallboard"}
    assert len(set(drawn.values())) == 4
    assert file.stat().st_mode & 0o777 == 0o600
