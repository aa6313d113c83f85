"""What is over goes after its time, what is open stays; a dead message is news for an hour."""

from datetime import timedelta

import pytest
from alert_builders import found, notifier, open_ledger, settings

from alerts.expiring import ExpiringService
from alerts.sending import Delivered, Failed
from txwatch.testing import ManualClock


class Answering:
    """Answers every notice in one way."""

    def __init__(self, answer):
        self.answer = answer

    def send(self, notice, key, reference):
        return self.answer


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def ledger(tmp_path, clock):
    opened = open_ledger(tmp_path, clock)
    yield opened
    opened.close()


def settle(service):
    while not service.step().finished:
        pass


def test_records_of_what_is_over_go_after_their_time(ledger, clock):
    """The open group keeps its decisions and its notifications."""
    service = notifier(
        ledger,
        settings("ops", group_wait="0s", resolve_after="1h", group_by=("user",), repeat_interval="900d"),
        {"ops": Answering(Delivered(reference="1"))},
        clock,
    )
    ledger.commit_step("detectors", {}, [found("over", "u1")])
    settle(service)
    clock.advance(timedelta(hours=2))
    ledger.commit_step("detectors", {}, [found("open", "u2")])
    settle(service)
    service.close()
    clock.advance(timedelta(days=31))

    ExpiringService(ledger.alerts(), clock, timedelta(days=30)).step()

    book = ledger.alerts()
    assert book.decisions("over") == []
    assert [each.verdict for each in book.decisions("open")] == ["grouped"]
    assert len(book.groups(limit=9, only_open=False)) == 1
    assert [each.state for each in book.outbox(limit=9)] == ["sent"]


def test_a_dead_message_degrades_health_for_an_hour(ledger, clock):
    """Then it is told as a count; a retry brings it back."""
    refusing = Answering(Failed(sentence="no such channel", retryable=False))
    service = notifier(ledger, settings("ops", group_wait="0s", resolve_after="1d"), {"ops": refusing}, clock)
    ledger.commit_step("detectors", {}, [found("a1")])
    settle(service)
    assert service.health().state == "degraded"
    assert "1 died within the last hour on ops" in service.health().sentence

    clock.advance(timedelta(seconds=3601))
    service.step()
    assert (service.health().state, service.health().figures["dead"]) == ("ok", 1)

    refusing.answer = Delivered()
    (dead,) = ledger.alerts().outbox(limit=9, state="dead")
    assert ledger.alerts().retry(dead.key, clock.now().timestamp(), "ada")
    settle(service)
    assert service.health().figures["sent_total"] == 1
    service.close()


def test_another_policy_is_followed_from_the_next_step_on(ledger, clock):
    """Open groups go on under the route of the same name."""
    taken = Answering(Delivered())
    service = notifier(ledger, settings("ops", group_wait="10m"), {"ops": taken}, clock)
    ledger.commit_step("detectors", {}, [found("a1")])
    settle(service)
    assert ledger.alerts().outbox(limit=9) == []

    service.adopt(settings("other", group_wait="0s"), {"other": taken})
    settle(service)

    assert [each.channel for each in ledger.alerts().outbox(limit=9)] == ["other"]
    service.close()
