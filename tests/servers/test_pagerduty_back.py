"""Acknowledged here is acknowledged at PagerDuty, and the other way round, where it is signed."""

import hashlib
import hmac
import http.client
import json

import msgspec
import pytest
from alert_builders import found, notifier, open_ledger, settings
from hypothesis import given
from hypothesis import strategies as st

from alerts.acknowledging import acknowledge
from alerts.groups import Group
from alerts.links import Links
from alerts.linkserver import LedgerActs, LinkService
from alerts.pagerback import PagerBack
from alerts.pagerduty import event
from alerts.sending import Delivered
from txwatch.model import Severity
from txwatch.testing import ManualClock

KEY = b"k" * 32
SECRET = "what PagerDuty showed once"
ENVIRONMENT = {"TXWATCH_PSEUDONYM_KEY": KEY.hex()}


class Kept:
    """Keeps what it is to send."""

    def __init__(self):
        self.notices = []

    def send(self, notice, key, reference):
        self.notices.append(notice)
        return Delivered(reference="1")


class Desk:
    """A group that was told, the notifier that told it, and the endpoint."""

    def __init__(self, folder, secret=SECRET):
        self.clock, self.kept = ManualClock(), Kept()
        self.ledger, own = (open_ledger(folder, self.clock) for _ in range(2))
        self.notifier = notifier(
            self.ledger, settings("ops", group_wait="0s"), {"ops": self.kept}, self.clock
        )
        self.ledger.commit_step("detectors", {}, [found("a1", severity=Severity.CRITICAL)])
        self.works()
        acts = LedgerActs(own, self.clock, settings("ops"), ENVIRONMENT)
        links = Links("https://alerts.example.org", KEY)
        self.endpoint = LinkService(links, acts, own, self.clock, ("127.0.0.1", 0), secret)

    def works(self):
        while not self.notifier.step().finished:
            pass

    @property
    def group(self):
        (document,) = self.ledger.alerts().groups(limit=9, only_open=False)
        return msgspec.json.decode(document, type=Group)

    def tells(self, body, signature=None, path="/pagerduty"):
        signature = signature or signed(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.endpoint.port, timeout=5)
        connection.request("POST", path, body, {"X-PagerDuty-Signature": signature})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def close(self):
        self.endpoint.close()
        self.notifier.close()
        self.ledger.close()


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    made.close()


def signed(body, secret=SECRET):
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def incident(group_id, kind="incident.acknowledged", agent="Ada Lovelace"):
    """A webhook as PagerDuty documents it (v3)."""
    who = {"id": "PLH1HKV", "summary": agent, "type": "user_reference"} if agent else None
    data = {"id": "PGR0VU2", "type": "incident", "status": "acknowledged", "incident_key": group_id}
    told = {"id": "5ac64822", "event_type": kind, "resource_type": "incident", "agent": who, "data": data}
    return json.dumps({"event": told | {"occurred_at": "2026-03-02T12:00:00Z", "client": None}}).encode()


@pytest.mark.parametrize("kind", ["incident.acknowledged", "incident.resolved"])
def test_who_takes_the_incident_takes_the_group(desk, kind):
    """By name, on record, and the channels are told; that it comes again changes nothing."""
    body = incident(desk.group.group_id, kind)

    assert desk.tells(body) == (200, "acknowledged")
    assert desk.group.acknowledged_by == "Ada Lovelace (at PagerDuty)"
    assert [record.actor for record in desk.ledger.audited(0, 9)] == ["Ada Lovelace (at PagerDuty)"]
    desk.tells(incident(desk.group.group_id, agent="an integration"))
    desk.works()
    assert desk.group.acknowledged_by == "Ada Lovelace (at PagerDuty)"
    assert [notice.kind for notice in desk.kept.notices] == ["first", "acknowledged"]


def test_who_takes_the_group_takes_the_incident(desk):
    """The same incident is acknowledged, by its key."""
    acknowledge(desk.ledger.alerts(), desk.group.group_id, "ada", desk.clock.now().timestamp())
    desk.works()

    first, last = (event(notice) for notice in desk.kept.notices)
    assert (first["event_action"], last["event_action"]) == ("trigger", "acknowledge")
    assert first["dedup_key"] == last["dedup_key"] == desk.group.group_id


def test_what_is_not_signed_is_refused(desk):
    """Another secret, a changed body, no signature, a GET."""
    body = incident(desk.group.group_id)
    tries = [signed(body, "another"), signed(body + b" "), "v1=", "nonsense", "v1=\xe4"]

    assert [desk.tells(body, each)[0] for each in tries] == [401] * len(tries)
    assert desk.group.acknowledged_by == ""
    assert desk.endpoint.health().figures["refused_total"] == len(tries)


def test_while_a_secret_is_changed_one_of_two_signatures_is_enough(desk):
    """PagerDuty sends both, separated by commas."""
    body = incident(desk.group.group_id)

    assert desk.tells(body, f"{signed(body, 'old')}, {signed(body)}")[0] == 200
    assert desk.group.acknowledged_by


def test_what_nobody_can_mend_is_not_asked_again(desk):
    """An incident of somebody else, another event, no JSON: taken, so that PagerDuty does not try again."""
    others = [incident("unknown"), incident(desk.group.group_id, "incident.annotated"), b"{", b"\xff", b"[]"]

    assert {desk.tells(body)[0] for body in others} == {200}
    assert desk.group.acknowledged_by == ""


def test_without_a_secret_nobody_listens(tmp_path):
    """The path is one of a link that was not made here."""
    desk = Desk(tmp_path, secret="")
    status, _ = desk.tells(incident(desk.group.group_id))
    desk.close()

    assert status == 404


class Nobody:
    def acknowledge_group(self, group_id, actor):
        raise AssertionError(f"{actor} acknowledged {group_id}")


@given(st.binary(max_size=300))
def test_any_signed_bytes_are_answered(body):
    """Whatever stands in it: an answer, and nothing is done."""
    status, _ = PagerBack(SECRET, Nobody(), lambda _: None).answer("POST", body, signed(body))

    assert status == "200 OK"
