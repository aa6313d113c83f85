"""`txwatch canary` goes on whatever is away, and says that a canary is missing."""

from datetime import timedelta

import pytest
from alert_builders import NOON, found, open_ledger

from alerts.canarying import CanaryService, CanarySettings
from txwatch.canary import Canaries
from txwatch.errors import StoreBusyError
from txwatch.model import Mode
from txwatch.testing import ManualClock

OURS = Canaries(b"k" * 32)
EVERY = timedelta(minutes=5)


class Source:
    """What canaries are sent to; it takes none while it is away."""

    def __init__(self):
        self.away, self.sent = False, []

    def send(self, key, fields):
        if self.away:
            raise StoreBusyError("Kafka does not take 1 messages")
        self.sent.append(fields["transaction_id"])


@pytest.fixture
def room(tmp_path):
    """Return (source, clock, ledger, service)."""
    clock, source = ManualClock(NOON), Source()
    ledger = open_ledger(tmp_path, clock)
    yield source, clock, ledger, CanaryService(source.send, OURS, ledger, clock, CanarySettings(every=EVERY))
    ledger.close()


def passes(clock, service, span):
    clock.advance(span)
    service.step()


def test_a_canary_that_cannot_be_sent_is_missing_and_the_next_one_is_tried(room):
    """Kafka is away: that is when somebody should hear of it, so this does not end."""
    source, clock, _, service = room
    source.away = True
    service.step()
    told = service.health()
    source.away = False
    passes(clock, service, EVERY)

    assert told.sentence == (
        "no alert yet; the canary of 12:00:00 UTC could not be sent: Kafka does not take 1 messages"
    )
    assert (told.state, told.figures["missing"], told.figures["missing_total"]) == ("degraded", 1.0, 1.0)
    assert len(source.sent) == 1


def test_a_ledger_that_is_away_makes_it_wait_and_then_miss(room, monkeypatch):
    """As for any alert that does not come in time."""
    _, clock, ledger, service = room
    service.step()
    monkeypatch.setattr(ledger, "discovered", lambda *_: raise_busy())
    passes(clock, service, timedelta(seconds=30))
    waiting = service.health().state
    passes(clock, service, timedelta(seconds=31))

    assert waiting == "ok"
    assert "was not found within 61 s" in service.health().sentence


def raise_busy():
    raise StoreBusyError("the ledger's database does not answer")


def test_found_and_not_told_is_another_sentence(room):
    """It says where to look: at the notifier, not at the detectors."""
    source, clock, ledger, service = room
    service.step()
    ledger.commit_step("detectors", {}, [found("c1", mode=Mode.CANARY, transaction_id=source.sent[0])])
    passes(clock, service, timedelta(seconds=61))

    assert "was found, but not told within 61 s" in service.health().sentence
