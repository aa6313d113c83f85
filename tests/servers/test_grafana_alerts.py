"""The alert rules in a real Grafana: loaded from files and over the API, evaluated, one of them told.

Where a built Grafana lies is said by TXWATCH_GRAFANA_HOME; it takes about five minutes, most of them the
patience of the rules.
"""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from grafana_server import GrafanaServer
from influx_fixtures import InfluxStores
from mail_server import mail_server
from private_authority import Authority
from simulated_week import fill
from slack_standin import TOKEN, SlackStandIn, slack

from grafana.alerting import counting, watching
from grafana.alerting.installed import EDITABLE_FOLDER, editable

HOME = os.environ.get("TXWATCH_GRAFANA_HOME", "")
DEAD_FOR = timedelta(minutes=11)
PATIENCE_SECONDS = 360

pytestmark = pytest.mark.skipif(not HOME, reason="TXWATCH_GRAFANA_HOME names no built Grafana")


class Alerting(msgspec.Struct, frozen=True, kw_only=True):
    """A Grafana with the rules, and those who are told."""

    grafana: GrafanaServer
    slack: SlackStandIn
    mails: list[Any]

    def states(self) -> dict[str, dict[str, Any]]:
        """What it says of each rule, by title."""
        answer = self.grafana.call("GET", "/api/prometheus/grafana/api/v1/rules")
        return {rule["name"]: rule for group in answer["data"]["groups"] for rule in group["rules"]}

    def evaluated(self, titles: set[str]) -> dict[str, dict[str, Any]]:
        """What it says of these rules once it has evaluated each of them."""
        states = self.states()
        known = set(states) == titles and all(rule["health"] != "unknown" for rule in states.values())
        return states if known else {}


@pytest.fixture(scope="module")
def alerting(influxdb, tmp_path_factory) -> Iterator[Alerting]:
    """A week whose collector and detectors died eleven minutes ago."""
    stores = InfluxStores(influxdb)
    stores.initialise()
    week = fill(
        stores.access(),
        tmp_path_factory.mktemp("week"),
        users=30,
        until=datetime.now(UTC) - DEAD_FOR,
        live=timedelta(minutes=2),
        window_seconds=900,
    )
    authority = Authority(tmp_path_factory.mktemp("ca"))
    with slack() as (standin, api), mail_server(authority, "starttls") as (kept, mail):
        values = {
            "TXWATCH_INFLUX_TOKEN_OPERATOR": stores.tokens["operator"],
            "TXWATCH_GRAFANA_MAIL_TO": "on-call@example.org",
            "TXWATCH_GRAFANA_SLACK_TOKEN": TOKEN,
            "TXWATCH_GRAFANA_SLACK_CHANNEL": "#watch",
            "TXWATCH_GRAFANA_SLACK_ENDPOINT": f"{api}chat.postMessage",
            "TXWATCH_SMTP_HOST": mail.host,
            "TXWATCH_SMTP_PORT": str(mail.port),
            "TXWATCH_SMTP_USER": mail.user,
            "TXWATCH_SMTP_PASSWORD": mail.password,
            "TXWATCH_SMTP_FROM": "grafana@example.org",
        }
        extra = {
            "TXWATCH_GRAFANA_INFLUX_URL": influxdb.url,
            "TXWATCH_GRAFANA_INFLUX_ORG": stores.org,
            "GF_SMTP_SKIP_VERIFY": "true",
        }
        grafana = GrafanaServer(Path(HOME), tmp_path_factory.mktemp("grafana"), values, extra)
        grafana.start()
        grafana.call("POST", "/api/folders", EDITABLE_FOLDER)
        for rule in editable():
            path = "/api/v1/provisioning/alert-rules"
            grafana.call("POST", path, rule, **{"X-Disable-Provenance": "true"})
        yield Alerting(grafana=grafana, slack=standin, mails=kept.messages)
        grafana.close()
    week.store.close()


def waited_for(found, seconds: float = PATIENCE_SECONDS) -> Any:
    """What `found` returns once it is something."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(1)
    return value


def test_every_rule_is_evaluated_without_an_error(alerting):
    """Those of the files and those over the API, each at least once."""
    titles = {rule.title for rule in (*watching.RULES, *counting.RULES)}
    states = waited_for(lambda: alerting.evaluated(titles))

    assert {title: rule.get("lastError") for title, rule in states.items() if rule["health"] != "ok"} == {}


def test_rules_of_files_are_read_only_and_those_of_the_api_are_edited(alerting):
    """By their provenance."""
    for rule in (*watching.RULES, *counting.RULES):
        stored = alerting.grafana.call("GET", f"/api/v1/provisioning/alert-rules/{rule.uid}")

        assert stored.get("provenance", "") == ("file" if rule in watching.RULES else "")


def test_a_dead_collector_is_told_by_slack_and_e_mail(alerting):
    """What is wrong, what to do, and where to look, from an hour before."""
    told = waited_for(
        lambda: [post for post in alerting.slack.posts if "No transactions" in str(post["attachments"])]
    )
    mailed = waited_for(lambda: [mail for mail in alerting.mails if "No transactions" in mail["Subject"]])

    (attachment,) = told[0]["attachments"]
    assert attachment["title"] == "FIRING: No transactions"
    assert "Not one transaction came in the last ten minutes." in attachment["text"]
    assert "Next: Does the producer send?" in attachment["text"]
    assert f"{alerting.grafana.url}/d/txwatch-health?orgId=1&from=" in attachment["text"]
    assert "&to=now" in attachment["text"]
    assert mailed[0]["To"] == "on-call@example.org"


def test_a_dead_service_is_named(alerting):
    """One message for all services that died together."""
    told = waited_for(
        lambda: [post for post in alerting.slack.posts if "A service has died" in str(post["attachments"])]
    )

    assert "detectors has said nothing for 1" in told[0]["attachments"][0]["text"]
