"""Groups that were open before a silence are quiet while it is about them, and nothing of them is lost."""

from datetime import timedelta

import msgspec
import pytest
from alert_builders import HIDING, found, notifier, open_ledger
from test_alert_withdrawals import Room

from alerts.matching import Match
from alerts.policy import AlertSettings, ChannelSettings
from alerts.routes import Escalation, Route
from alerts.sending import Delivered
from alerts.silences import Silence
from txwatch.canary import Canaries
from txwatch.model import Mode, Severity
from txwatch.testing import ManualClock


class Taken:
    def __init__(self):
        self.kinds = []

    def send(self, notice, key, reference):
        self.kinds.append(notice.kind)
        return Delivered(reference="1")


class Night(Room):
    """A notifier that repeats after an hour and escalates after fifteen minutes, and what it told."""

    def __init__(self, folder):
        self.clock, self.ops, self.phone = ManualClock(), Taken(), Taken()
        self.ledger = open_ledger(folder, self.clock)
        channels = {name: ChannelSettings(kind="slack", to=("#fraud",)) for name in ("ops", "phone")}
        escalation = (Escalation(after="15m", channels=("phone",)),)
        times = {"group_wait": "0s", "repeat_interval": "1h", "resolve_after": "5h"}
        route = Route(channels=("ops",), escalation=escalation, **times)
        policy = AlertSettings(channels=channels, route=route, canary=("phone",))
        self.service = notifier(self.ledger, policy, {"ops": self.ops, "phone": self.phone}, self.clock)

    def silence(self, hours=2, name="s1", **match):
        now = self.clock.now()
        new = Silence(
            silence_id=name,
            match=msgspec.convert(match, Match),
            since=now,
            until=now + timedelta(hours=hours),
            comment="known",
            author="ada",
        )
        self.ledger.alerts().put_silence(name, msgspec.json.encode(new), now.timestamp(), "ada")


@pytest.fixture
def night(tmp_path):
    made = Night(tmp_path)
    yield made
    made.service.close()
    made.ledger.close()


def test_what_is_silenced_is_neither_repeated_nor_escalated(night):
    """Nobody is called at night for what somebody else has silenced."""
    night.comes(found("a1"))
    night.silence(user=["u1"])
    for _ in range(11):
        night.passes(10)

    assert (night.ops.kinds, night.phone.kinds) == (["first"], [])


def test_when_the_silence_ends_what_nobody_acknowledged_goes_on(night):
    """It is escalated and repeated as before."""
    night.comes(found("a1"))
    night.silence(user=["u1"])
    night.passes(125)
    night.passes(60)

    assert night.phone.kinds == ["escalated"]
    assert "repeat" in night.ops.kinds


def test_ending_a_silence_early_counts_at_once(night):
    night.comes(found("a1"))
    night.silence(user=["u1"])
    night.passes(20)
    night.silence(hours=0, user=["u1"])
    night.passes(1)

    assert night.phone.kinds == ["escalated"]


@pytest.mark.parametrize("match", [{"user": ["u1"]}, {"entity": ["u1"]}, {"user": [HIDING("user_id", "u1")]}])
def test_a_large_group_is_quiet_where_all_of_it_is_meant(night, match):
    """Though only its worst three anomalies are at hand: it is a group of that user."""
    night.comes(*(found(f"a{n}") for n in range(20)))
    night.silence(**match)
    night.passes(30)

    assert night.phone.kinds == []


@pytest.mark.parametrize(
    "match", [{"user": ["u2"]}, {"merchant": ["m1"]}, {"user": ["u1"], "min_severity": "high"}]
)
def test_what_may_be_about_others_too_is_told(night, match):
    """A silence hides exactly what it means: of a group of twenty, seventeen are not at hand."""
    night.comes(*(found(f"a{n}", merchant_id="m1" if n < 3 else "m2", score=90.0 - n) for n in range(20)))
    night.silence(**match)
    night.passes(30)

    assert night.phone.kinds == ["escalated"]


def test_worse_that_is_not_meant_is_told(night):
    """A silence of what is high says nothing of what is critical."""
    night.comes(found("a1"))
    night.silence(severity=["high"])
    night.comes(found("a2", severity=Severity.CRITICAL))

    assert night.ops.kinds == ["first", "worse"]


def test_what_ends_is_told_during_a_silence(tmp_path):
    """A message that would stay red for hours helps nobody."""
    night = Night(tmp_path)
    night.comes(found("a1"))
    night.silence(hours=9, user=["u1"])
    night.passes(5 * 60 + 1)
    night.service.close()

    assert night.ops.kinds == ["first", "resolved"]


def test_a_canary_is_told_whatever_is_silenced(night):
    """It would be missed for a silence of everything that is high."""
    night.silence(severity=["high"])
    name = Canaries(b"k" * 32).transaction(night.clock.now(), "EUR")["transaction_id"]
    night.comes(found("c1", mode=Mode.CANARY, transaction_id=name))

    assert night.phone.kinds == ["first"]


def test_a_policy_without_silences_is_untouched(tmp_path):
    """A silence of somebody else changes nothing."""
    night = Night(tmp_path)
    night.silence(user=["u2"])
    night.comes(found("a1"))
    night.passes(16)
    night.service.close()

    assert (night.ops.kinds, night.phone.kinds) == (["first"], ["escalated"])
