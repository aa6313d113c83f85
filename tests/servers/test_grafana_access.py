"""`txwatch grafana apply` and `check` against a real Grafana: what is made, and who may do what in it.

Where a built Grafana lies is said by TXWATCH_GRAFANA_HOME.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from applied_grafana import HOME, AppliedGrafana, grafana_at_hand
from influx_fixtures import InfluxStores

from grafana.access.hardening import SETTINGS
from grafana.alerting import counting
from grafana.alerting.installed import EDITABLE_FOLDER
from grafana.audience import ADMINISTRATION, AUDIENCES, INVESTIGATIONS, OPERATIONS, Audience
from grafana.dashboards import pages_of
from txwatch.init.envfile import read_env

pytestmark = pytest.mark.skipif(not HOME, reason="TXWATCH_GRAFANA_HOME names no built Grafana")


@pytest.fixture(scope="module")
def installed(influxdb, tmp_path_factory) -> Iterator[AppliedGrafana]:
    """A fresh one, applied once."""
    stores = InfluxStores(influxdb)
    stores.initialise()
    with grafana_at_hand(stores, tmp_path_factory.mktemp("grafana")) as made:
        made.would = made.steps("apply", "--dry-run")
        made.untouched = made.call("GET", "/api/orgs")
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
        sources = installed.call("GET", "/api/datasources", **{"X-Grafana-Org-Id": number})
        pages = installed.call("GET", "/api/search?type=dash-db", **{"X-Grafana-Org-Id": number})

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
    page = installed.call("GET", "/api/dashboards/uid/txwatch-now", **org)
    changed = page["dashboard"] | {"title": "Mine"}
    installed.call(
        "POST", "/api/dashboards/db", {"dashboard": changed, "folderUid": "txwatch", "overwrite": True}, **org
    )
    rights = {"items": [{"role": "Viewer", "permission": 2}]}
    installed.call("POST", "/api/folders/txwatch/permissions", rights, **org)
    olga = installed.call("GET", "/api/users/lookup?loginOrEmail=olga")["id"]
    installed.call("PATCH", f"/api/orgs/1/users/{olga}", {"role": "Admin"})

    would = installed.steps("check")["would"]
    done = installed.steps("apply")["done"]

    assert would == done
    assert len(done) == 3
    assert "olga is Viewer in Operations, no longer Admin" in done
    assert set(installed.steps("apply")) == {"found", "fault"}


def test_somebody_whom_the_file_does_not_name_is_reported_and_goes_with_prune(installed):
    account = {"login": "mara", "password": "somebodys", "OrgId": installed.numbers["investigations"]}
    installed.call("POST", "/api/admin/users", account)

    faults = installed.steps("check")["fault"]
    done = installed.steps("apply", "--prune")["done"]

    assert any(sentence.startswith("mara is Viewer in Investigations, and") for sentence in faults)
    assert done == ["mara is no longer in Investigations"]


def test_a_new_token_reaches_the_data_source(installed, influxdb):
    """Grafana never shows a token, so it is known by its mark."""
    other = dict(installed.environment)
    installed.environment["TXWATCH_INFLUX_TOKEN_INVESTIGATOR"] = "not-a-token"
    changed = installed.steps("apply")
    installed.environment = other
    back = installed.steps("apply")

    assert len(changed["done"]) == 2
    assert sum("does not work" in sentence for sentence in changed["fault"]) == 2
    assert len(back["done"]) == 2
    assert not any("does not work" in sentence for sentence in back["fault"])


def test_an_edited_alert_rule_stays_unless_forced(installed):
    rule = counting.RULES[0]
    path = f"/api/v1/provisioning/alert-rules/{rule.uid}"
    stored = installed.call("GET", path)
    stored["for"] = "7m"
    installed.call("PUT", path, stored, **{"X-Disable-Provenance": "true"})

    installed.steps("apply")
    kept = installed.call("GET", path)["for"]
    installed.steps("apply", "--force")
    put_back = installed.call("GET", path)["for"]

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
    groups = installed.call("GET", path)
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
    answer = urllib3.request("GET", f"{installed.url}/api/search")

    assert answer.status == 401


def test_every_setting_that_keeps_people_apart_is_as_it_must_be(installed):
    """That is what docker-compose.yml sets."""
    found = installed.steps("check")["found"]

    assert sum(sentence.startswith("setting [") for sentence in found) == len(SETTINGS)


def test_a_wrong_password_is_one_sentence(installed):
    done = installed.run("check", password="wrong")

    assert done.returncode == 7
    assert done.stderr.startswith(f"txwatch: Grafana at {installed.url} does not let us in")
    assert len(done.stderr.splitlines()) == 1


def test_secrets_of_new_people_are_for_their_owner_alone(installed):
    """The file can be read by nobody else, and every secret in it is a different one."""
    file = installed.folder / "grafana-secrets.env"
    drawn = read_env(file)

    assert set(drawn) == {"olga", "ivan", "ada", "wallboard"}
    assert len(set(drawn.values())) == 4
    assert file.stat().st_mode & 0o777 == 0o600
