"""Notifications to Slack, against a server that answers as Slack does and has its troubles."""

import time
from datetime import timedelta

import msgspec
import pytest
from alert_builders import SOMEWHERE, found, notifier, open_ledger, settings
from slack_standin import TOKEN, block_fault, slack

from alerts.groups import Group
from alerts.routes import Route
from alerts.slack import SlackSender
from txwatch.ledger import Step, StoredGroup
from txwatch.model import AnomalyState, Cursor, Severity
from txwatch.testing import ManualClock


@pytest.fixture
def standin():
    with slack() as (server, address):
        yield server, address


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def ledger(tmp_path, clock):
    opened = open_ledger(tmp_path, clock)
    yield opened
    opened.close()


@pytest.fixture
def service(ledger, standin, clock):
    _, address = standin
    senders = {
        "ops": SlackSender(("#fraud",), TOKEN, address),
        "second": SlackSender(("#second",), TOKEN, address),
        "gone": SlackSender(("#nowhere",), TOKEN, address),
    }
    opened = []

    def build(policy):
        opened.append(notifier(ledger, policy, senders, clock))
        return opened[-1]

    yield build
    for each in opened:
        each.close()


def discover(ledger, *anomalies):
    ledger.commit_step("detectors", {SOMEWHERE: Cursor(1, 1)}, anomalies)


def settle(service):
    """Step until nothing moves and nothing is under way."""
    while True:
        progress = service.step()
        if progress.handled == 0 and not progress.waiting:
            return
        time.sleep(0.005)


def test_a_group_is_one_message_that_changes(service, ledger, standin, clock):
    """Ten more anomalies, and the end, change the message; none is posted beside it."""
    server, _ = standin
    routed = service(settings("ops", group_by=("user",)))
    discover(ledger, found("a0"))
    settle(routed)
    assert server.posts == []

    clock.advance(timedelta(seconds=30))
    settle(routed)
    discover(ledger, *(found(f"a{n}") for n in range(1, 11)))
    clock.advance(timedelta(seconds=300))
    settle(routed)
    clock.advance(timedelta(hours=1))
    settle(routed)

    assert len(server.posts) == 1
    assert server.updates == 2
    (message,) = server.messages.values()
    assert message["text"].startswith("Resolved: HIGH user user-1-")
    assert message["text"].endswith(", 11 anomalies")


def test_persons_are_pseudonyms_unless_the_route_is_cleared(service, ledger, standin, clock):
    """Neither the entity nor the sentence names them; the link leads to the anomaly's page."""
    server, _ = standin
    routed = service(settings("ops", group_wait="0s"))
    discover(ledger, found("a1", "customer-77"))
    settle(routed)

    text = str(server.posts[0])
    assert "customer-77" not in text
    assert "user-1-" in text
    assert "https://grafana.example.org/d/txwatch-anomaly?var-anomaly=a1&from=" in text


def test_a_revision_is_told_in_the_thread(service, ledger, standin, clock):
    """Found more severe: the message changes, and the difference stands in its thread, not in the channel."""
    server, _ = standin
    policy = msgspec.structs.replace(settings("ops", group_wait="0s"), min_severity="medium")
    routed = service(policy)
    discover(ledger, found("a1", severity=Severity.MEDIUM, score=70.0))
    settle(routed)
    discover(ledger, found("a1", severity=Severity.HIGH, score=86.0))
    clock.advance(timedelta(seconds=300))
    settle(routed)

    assert (len(server.posts), server.updates) == (2, 1)
    assert "anomaly a1 is high (86), it was medium (70)" in str(server.posts[1]["blocks"])
    assert server.posts[1]["thread_ts"] in server.messages
    assert "reply_broadcast" not in server.posts[1]


def test_what_late_data_takes_back_is_told_in_the_message_and_in_its_thread(service, ledger, standin, clock):
    """The message says withdrawn, the thread has the sentence with both numbers, the channel nothing."""
    server, _ = standin
    routed = service(settings("ops", group_wait="0s"))
    about = {"kind": "series", "entity_kind": "merchant", "entity_id": "m17", "user_id": None, "amount": None}
    drop = found("a1", "", **about)
    says = msgspec.structs.replace(drop.reasons[0], sentence="merchant m17: 15 transactions; it was 0 before")
    back = {"state": AnomalyState.WITHDRAWN, "revision": 1, "before": drop.severity, "reasons": (says,)}
    discover(ledger, drop)
    settle(routed)
    discover(ledger, msgspec.structs.replace(drop, **back))
    settle(routed)
    clock.advance(timedelta(days=1))
    settle(routed)

    first, thread = server.posts
    (changed, _) = server.messages.values()
    assert first["text"].startswith("HIGH merchant m17: ")
    assert changed["text"].startswith("Withdrawn: HIGH merchant m17: anomaly a1 is withdrawn, it was high: ")
    assert "15 transactions; it was 0 before" in str(thread["blocks"])
    assert (bool(thread["thread_ts"]), thread.get("reply_broadcast")) == (True, None)


def test_critical_does_not_wait(service, ledger, standin):
    """Its first message leaves at once."""
    server, _ = standin
    routed = service(settings("ops", group_wait="10m"))
    discover(ledger, found("a1", severity=Severity.CRITICAL))
    settle(routed)

    assert len(server.posts) == 1


@pytest.mark.parametrize(
    ("trouble", "unanswered"), [("429", 0), ("503", 0), ("internal_error", 0), ("reset", 1)]
)
def test_troubles_pass(service, ledger, standin, clock, trouble, unanswered):
    """Tried again later: at the time Slack names, otherwise after a growing wait."""
    server, _ = standin
    server.troubles.append(trouble)
    routed = service(settings("ops", group_wait="0s"))
    discover(ledger, found("a1"))
    settle(routed)
    assert server.posts == []

    clock.advance(timedelta(seconds=6.9 if trouble == "429" else 0.9))
    settle(routed)
    assert server.posts == []
    clock.advance(timedelta(seconds=1.2))
    settle(routed)

    assert len(server.posts) == 1
    (sent,) = ledger.alerts().outbox(limit=9)
    tries = 1 if trouble == "429" else 2  # to be asked to wait is no try
    assert (sent.state, sent.attempts, sent.unanswered) == ("sent", tries, unanswered)


def test_an_answer_that_is_lost_is_counted(service, ledger, standin, clock):
    """Slack has the message, we do not know: the second one is the price, and it is in the outbox."""
    server, _ = standin
    server.troubles.append("lost")
    routed = service(settings("ops", group_wait="0s"))
    discover(ledger, found("a1"))
    settle(routed)
    clock.advance(timedelta(seconds=2))
    settle(routed)

    assert len(server.posts) == 2
    assert [each.unanswered for each in ledger.alerts().outbox(limit=9)] == [1]


def test_a_dead_channel_hands_over_to_its_fallback_and_says_so(service, ledger, standin):
    """The message that arrives names the channel that failed."""
    server, _ = standin
    policy = settings("gone", "second", fallback="second")
    alone = Route(channels=("gone",), group_wait="0s")
    routed = service(msgspec.structs.replace(policy, route=alone))
    discover(ledger, found("a1"))
    settle(routed)

    assert [each.state for each in ledger.alerts().outbox(limit=9)].count("dead") == 1
    assert "gone failed: Slack refuses: channel_not_found" in str(server.posts)
    assert routed.health().state == "degraded"


def test_an_acknowledgement_changes_the_message_and_ends_repeats(service, ledger, standin, clock):
    """Written by another process into the ledger."""
    server, _ = standin
    routed = service(settings("ops", group_wait="0s", repeat_interval="1h", resolve_after="1d"))
    discover(ledger, found("a1"))
    settle(routed)
    clock.advance(timedelta(hours=1))
    settle(routed)
    assert len(server.posts) == 2
    book = ledger.alerts()
    epoch, (document,) = book.open_groups()
    group = msgspec.structs.replace(msgspec.json.decode(document, type=Group), acknowledged_by="ada")
    stored = StoredGroup(group_id=group.group_id, open=True, document=msgspec.json.encode(group))
    book.commit("", epoch, Step(groups=[stored]))

    settle(routed)
    clock.advance(timedelta(hours=5))
    settle(routed)

    assert len(server.posts) == 2
    assert "acknowledged by ada" in str(server.messages)


def test_two_notifiers_tell_once(service, ledger, standin, clock):
    """In turn on the same ledger: each sees that the other decided."""
    server, _ = standin
    policy = settings("ops", group_wait="0s", group_by=("user",))
    first, second = service(policy), service(policy)
    for n in range(20):
        discover(ledger, found(f"a{n}", f"u{n}"))
        first.step()
        second.step()
    settle(first)
    settle(second)

    assert len(server.posts) == 20


def test_what_was_told_on_the_console_before_is_not_told_again(service, ledger, standin):
    """Routes that are added later begin with what comes then."""
    server, _ = standin
    discover(ledger, found("old"))
    ledger.advance("alerts", 1)
    routed = service(settings("ops", group_wait="0s"))
    discover(ledger, found("new", "u2"))
    settle(routed)

    assert len(server.posts) == 1


def test_messages_of_any_length_keep_to_block_kit(service, ledger, standin):
    """Names and sentences of thousands of characters, and what Slack would take for markup."""
    server, _ = standin
    routed = service(settings("ops", group_wait="0s", group_by=("type",)))
    discover(ledger, *(found(f"a{n}", f"<@u{n}>&" * 200, merchant_id="m" * 500) for n in range(50)))
    settle(routed)

    assert len(server.posts) == 1
    assert block_fault([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]) is not None


def test_a_storm_is_one_message_an_entity(service, ledger, standin, clock):
    """10,000 anomalies of 300 users: 300 messages, changed in place; every anomaly is counted in one."""
    server, _ = standin
    routed = service(settings("ops", group_by=("user",), group_wait="30s", group_interval="5m"))
    discover(ledger, *(found(f"a{n}", f"u{n % 300}") for n in range(10_000)))
    settle(routed)
    clock.advance(timedelta(seconds=30))
    settle(routed)
    clock.advance(timedelta(hours=1))
    settle(routed)

    assert len(server.posts) == 300
    assert server.updates == 300
    counts = [message["blocks"][-2]["elements"][0]["text"] for message in server.messages.values()]
    assert sum(int(text.split()[0]) for text in counts) == 10_000
