"""The alert rules of Grafana, as code: whole, told apart, leading somewhere, free of secrets."""

import pytest
import yaml

from grafana.alerting import counting, watching
from grafana.alerting.contact import ON_CALL, TEAM, contact_points
from grafana.alerting.installed import editable, provisioned
from grafana.alerting.policy import OFF_HOURS, mute_timings, policies
from grafana.audience import OPERATIONS
from grafana.build import files
from grafana.dashboards import pages_of

RULES = [*watching.RULES, *counting.RULES]


def test_rules_are_told_apart():
    """Grafana finds a rule by its uid, people by its title."""
    assert len({rule.uid for rule in RULES}) == len({rule.title for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.uid)
def test_a_rule_leads_to_a_panel_that_is_there(rule):
    (page,) = [page for page in pages_of(OPERATIONS) if page.uid == rule.page]

    assert rule.panel in {panel.title for panel in page.panels}


def test_files_have_what_watches_and_the_api_what_is_edited():
    (group,) = provisioned()

    assert [made["uid"] for made in group["rules"]] == [rule.uid for rule in watching.RULES]
    assert [made["uid"] for made in editable()] == [rule.uid for rule in counting.RULES]


def test_messages_go_to_contact_points_and_wait_for_times_that_are_there():
    (root,) = policies()
    (waiting,) = root["routes"]

    assert {root["receiver"], waiting["receiver"]} == {ON_CALL, TEAM}
    assert {point["name"] for point in contact_points()} == {ON_CALL, TEAM}
    assert waiting["mute_time_intervals"] == [OFF_HOURS] == [timing["name"] for timing in mute_timings()]


def test_secrets_and_addresses_are_names_of_variables():
    """What is read from the environment of Grafana, and nothing else."""
    messages = yaml.safe_load(files()["alerting/messages.yaml"])
    settings = [each["settings"] for point in messages["contactPoints"] for each in point["receivers"]]

    for each in settings:
        for name in {"addresses", "token", "recipient", "endpointUrl"} & set(each):
            assert each[name].startswith("$TXWATCH_GRAFANA_")
