"""The outbox: no channel waits for another, what is critical goes first, who asks for rest gets it."""

import threading
from datetime import timedelta

import pytest
from alert_builders import found, notifier, open_ledger, settings

from alerts.policy import AlertSettings
from alerts.routes import Route
from alerts.sending import Delivered, Failed
from txwatch.model import Severity
from txwatch.testing import ManualClock


class Hanging:
    """A channel that answers nothing before it is let go."""

    def __init__(self):
        self.free, self.asked = threading.Event(), 0

    def send(self, notice, key, reference):
        self.asked += 1
        self.free.wait(30)
        return Delivered()


class Taking:
    """A channel that takes so many, and asks everybody else to wait for a while."""

    def __init__(self, most=1_000):
        self.most, self.refused, self.titles = most, 0, []

    def send(self, notice, key, reference):
        if len(self.titles) >= self.most:
            self.refused += 1
            return Failed(sentence="too many", wait=30.0)
        self.titles.append(f"{notice.severity} {notice.found[0].anomaly_id}")
        return Delivered(reference="1")


@pytest.fixture
def room(tmp_path):
    """Return (ledger, clock, what makes a notifier)."""
    clock = ManualClock()
    ledger = open_ledger(tmp_path, clock)
    made = []

    def make(policy, senders):
        made.append(notifier(ledger, policy, senders, clock))
        return made[-1]

    yield ledger, clock, make
    for each in made:
        each.close()
    ledger.close()


def settle(service):
    while not service.step().finished:
        pass


def test_a_channel_that_hangs_holds_up_no_other(room):
    """A hundred messages wait for an answer of Slack; each of them has been mailed."""
    ledger, _, make = room
    hanging, mail = Hanging(), Taking()
    service = make(settings("chat", "mail", group_wait="0s"), {"chat": hanging, "mail": mail})
    ledger.commit_step("detectors", {}, [found(f"a{n}", f"u{n}") for n in range(100)])
    while len(mail.titles) < 100:
        service.step()

    assert 0 < hanging.asked < 10
    hanging.free.set()


def test_what_is_critical_overtakes_what_waits(room):
    """It comes last of two hundred, and is told first."""
    ledger, clock, make = room
    mail = Taking()
    service = make(settings("mail", group_wait="30s"), {"mail": mail})
    ledger.commit_step("detectors", {}, [found(f"a{n}", f"u{n}") for n in range(200)])
    service.step()
    clock.advance(timedelta(seconds=30))
    ledger.commit_step("detectors", {}, [found("worst", "u999", Severity.CRITICAL)])
    settle(service)

    assert "critical worst" in mail.titles[:5]
    assert len(mail.titles) == 201


def test_what_becomes_critical_while_its_first_message_waits_takes_that_along(room):
    """Messages of a group go in order, so the one before it must not wait for two hundred others."""
    ledger, clock, make = room
    mail = Taking()
    policy = settings("mail", "chat", group_by=("user",), group_wait="30s")
    service = make(policy, {"mail": mail, "chat": Taking()})
    ledger.commit_step("detectors", {}, [found(f"a{n}", f"u{n}") for n in range(200)])
    service.step()
    clock.advance(timedelta(seconds=30))
    service.step()
    ledger.commit_step("detectors", {}, [found("worst", "u199", Severity.CRITICAL)])
    settle(service)

    assert "high a199" in mail.titles[:15]
    assert "critical worst" in mail.titles[:15]


def test_a_channel_that_asks_to_wait_is_left_alone_and_loses_nothing(room):
    """Slack takes one message a second: a storm of 200 is late, and none is given up for it."""
    ledger, clock, make = room
    slow = Taking(most=0)
    service = make(settings("chat", group_wait="0s"), {"chat": slow})
    ledger.commit_step("detectors", {}, [found(f"a{n}", f"u{n}") for n in range(200)])
    settle(service)
    refused = slow.refused
    while slow.most < 200:
        slow.most += 10
        clock.advance(timedelta(seconds=31))
        settle(service)

    assert refused < 10
    assert len(set(slow.titles)) == 200
    assert {each.state for each in ledger.alerts().outbox(limit=1_000)} == {"sent"}


def test_a_channel_that_asks_to_wait_for_an_hour_is_given_up(room):
    """Then its fallback takes over, as for any channel that takes nothing."""
    ledger, clock, make = room
    mail = Taking()
    policy = settings("chat", "mail", fallback="mail", group_wait="0s")
    policy = AlertSettings(channels=policy.channels, route=Route(channels=("chat",), group_wait="0s"))
    service = make(policy, {"chat": Taking(most=0), "mail": mail})
    ledger.commit_step("detectors", {}, [found("a1", "u1")])
    for _ in range(130):
        settle(service)
        clock.advance(timedelta(seconds=31))
    settle(service)

    assert mail.titles == ["high a1"]
