"""Mute timings, inhibition, escalation, budgets and digests, each with the reason that `why` tells."""

import msgspec
import pytest
from alert_builders import HIDING, NOON, found

from alerts.calendar import Daily, Times
from alerts.deciding import Decider
from alerts.inhibiting import Inhibition
from alerts.matching import Match, mismatch
from alerts.notice import Notice
from alerts.policy import AlertSettings, ChannelSettings
from alerts.routes import Escalation, Route
from txwatch.model import Reason, Severity

CHANNELS = {name: ChannelSettings(kind="slack", to=("#fraud",)) for name in ("ops", "phone", "boss")}
MERCHANTS = Inhibition(
    name="whole merchant",
    source=Match(entity_kind=("merchant",)),
    target=Match(entity_kind=("user",)),
    equal=("merchant",),
)


class Night:
    """A policy, its clock, and all that it wrote."""

    def __init__(self, *, mute_timings=None, inhibit=(), **route):
        way = Route(channels=("ops",), **{"group_wait": "0s", "group_by": ("entity",), **route})
        settings = AlertSettings(
            channels=CHANNELS, route=way, mute_timings=mute_timings or {}, inhibit=tuple(inhibit)
        )
        self.decider = Decider(settings, HIDING, "")
        self.now = NOON.timestamp()
        self.number = 0
        self.decisions, self.sent = [], []

    def comes(self, *anomalies):
        entries = [(self.number + n, anomaly) for n, anomaly in enumerate(anomalies, start=1)]
        self.number += len(entries)
        self.decisions += self.decider.take(entries, known={}, silences=(), now=self.now).decisions
        self.look()

    def look(self, later=0.0):
        self.now += later
        while True:
            step = self.decider.flush(self.now)
            self.decisions += step.decisions
            self.sent += [(o.channel, msgspec.json.decode(o.document, type=Notice)) for o in step.outgoing]
            if not (step.groups or step.outgoing):
                return

    def told(self):
        return [(channel, notice.kind) for channel, notice in self.sent]

    def why(self, word):
        return [decision.reason for decision in self.decisions if decision.verdict == word]


def merchant(name, **fields):
    return found(name, entity_kind="merchant", entity_id="m1", user_id=None, merchant_id="m1", **fields)


def test_what_is_due_while_muted_is_told_when_that_is_over():
    """And the anomaly's decision says so at once."""
    night = Night(mute=("night",), mute_timings={"night": (Times(since="12:00", until="12:30"),)})
    night.comes(found("a1", severity=Severity.CRITICAL))
    night.look(29 * 60)
    assert night.told() == []

    night.look(60)

    assert night.told() == [("ops", "first")]
    assert night.why("grouped") == ["route default, channels ops; muted by night, told when that is over"]


def test_a_merchant_wide_anomaly_mutes_its_single_transactions():
    """Those of another merchant are told, and those whose merchant is not known."""
    night = Night(inhibit=[MERCHANTS])
    night.comes(merchant("wide"))
    night.comes(found("a1", "u1", merchant_id="m1"), found("a2", "u2", merchant_id="m2"), found("a3", "u3"))

    assert len(night.sent) == 3
    (why,) = night.why("inhibited")
    assert why.startswith("inhibited by whole merchant: anomaly wide in group ")


def test_what_waited_for_its_group_is_muted_too():
    """It came before the merchant was found strange, and nobody was told yet."""
    night = Night(inhibit=[MERCHANTS], group_wait="30s")
    night.comes(found("a1", "u1", merchant_id="m1"), found("a2", "u2", merchant_id="m2"))
    night.look(10)
    night.comes(merchant("wide"))
    night.look(30)

    assert sorted(n.entities[0][0] for _, n in night.sent) == [
        "merchant m1",
        f"user {HIDING('user_id', 'u2')}",
    ]
    assert len(night.why("inhibited")) == 1


def test_inhibition_ends_with_its_source():
    """The group of the merchant is over, so its transactions are told again."""
    night = Night(inhibit=[MERCHANTS], resolve_after="1h")
    night.comes(merchant("wide"))
    night.look(3600)
    night.comes(found("a1", "u1", merchant_id="m1"))

    assert night.told() == [("ops", "first"), ("ops", "resolved"), ("ops", "first")]


def test_nobody_acknowledged_so_others_are_told():
    """Step by step; at the end all that were told are told."""
    steps = (Escalation(after="30m", channels=("boss",)), Escalation(after="15m", channels=("phone",)))
    night = Night(escalation=steps, resolve_after="1h")
    night.comes(found("a1"))
    for _ in range(4):
        night.look(900)

    assert night.told() == [
        ("ops", "first"),
        ("phone", "escalated"),
        ("boss", "escalated"),
        ("ops", "resolved"),
        ("phone", "resolved"),
        ("boss", "resolved"),
    ]
    assert night.why("escalated")[0] == "nobody acknowledged it within 15m"


def test_an_acknowledgement_ends_escalation(tmp_path):
    """The group says who looks at it."""
    night = Night(escalation=(Escalation(after="15m", channels=("phone",)),))
    night.comes(found("a1"))
    (place,) = night.decider._groups
    group = msgspec.structs.replace(night.decider._groups[place], acknowledged_by="ada")
    night.decider._keep(group, night.now)
    night.look(900)

    assert night.told() == [("ops", "first"), ("ops", "acknowledged")]


def test_over_the_budget_there_is_one_digest():
    """It lists the most severe first; critical is told at once; the hour after has a budget of its own."""
    night = Night(budget_per_hour=2, resolve_after="1d", repeat_interval="1d")
    night.comes(*(found(f"a{n}", f"u{n}", score=50.0 + n) for n in range(30)))
    night.comes(found("c", "uc", severity=Severity.CRITICAL))
    assert night.told() == [("ops", "first")] * 3

    night.look(3600)

    (digest,) = [notice for _, notice in night.sent if notice.kind == "digest"]
    assert digest.members == 28
    assert digest.others == 28 - 15
    shown = [HIDING("user_id", f"u{n}") for n in range(30)]
    assert len(digest.found) == 5
    assert digest.found[0].entity.removeprefix("user ") in shown
    assert len(night.why("held")) == 28
    assert "the budget of 2 messages an hour on route default is used up" in night.why("held")[0]
    night.comes(found("later", "u-later"))
    assert night.told()[-1] == ("ops", "first")


def test_a_group_told_in_digests_only_ends_without_a_message():
    """Nobody has a message that would change; `why` says so."""
    night = Night(budget_per_hour=0, resolve_after="2h")
    night.comes(found("a1"))
    night.look(3600)
    night.look(3600)

    assert night.told() == [("ops", "digest")]
    assert "told in digests only" in night.why("resolved")[0]


def test_once_a_day_there_is_a_digest_of_the_day():
    """Counts, and what is still open; a quiet day has one too."""
    night = Night(daily_digest=Daily(at="08:00", zone="Europe/Berlin"), resolve_after="1h")
    night.comes(found("a1"), found("a2", "u2", severity=Severity.CRITICAL))
    night.look(20 * 3600)
    night.look(24 * 3600)

    first, second = (notice for _, notice in night.sent if notice.kind == "daily")
    assert first.lines[0] == "since 2026-03-02 12:00 UTC: 1 critical, 1 high in 2 new groups"
    assert second.lines == (
        "since 2026-03-03 08:00 UTC: no anomaly in 0 new groups",
        "0 groups are open, 0 of them not acknowledged",
    )


def test_what_is_found_otherwise_than_told_is_revised():
    """With the difference, after the interval for news; an escalation in between leaves it to be told."""
    night = Night(group_interval="10m", escalation=(Escalation(after="5m", channels=("phone",)),))
    night.comes(found("a1", score=70.0))
    again = [(9, found("a1", score=86.0, severity=Severity.HIGH))]
    night.decider.take(again, known={"a1": ()}, silences=(), now=night.now)
    night.look(300)
    night.look(300)
    night.look(3600)

    assert night.told() == [("ops", "first"), ("phone", "escalated"), ("ops", "amended"), *night.told()[3:]]
    (revised,) = [notice for _, notice in night.sent if notice.kind == "amended"]
    assert revised.lines == ("anomaly a1 is high (86), it was high (70)",)
    assert revised.members == 1
    assert [n.lines for _, n in night.sent if n.kind == "resolved"] == [()] * 2


@pytest.mark.parametrize(
    ("match", "said"),
    [
        (Match(tag=("takeover",)), ""),
        (Match(tag=("other",)), "tag takeover is not other"),
        (Match(channel=("web",)), ""),
        (Match(channel=("pos",)), "channel web is not pos"),
        (Match(min_amount=400, max_amount=500), ""),
        (Match(max_amount=400), "amount 412.0 is above 400"),
        (Match(times=Times(zone="Europe/Berlin", since="13:00", until="14:00")), ""),
        (Match(times=Times(days=("sat", "sun"))), "2026-03-02 12:00 UTC is outside sat sun 00:00-24:00 UTC"),
    ],
)
def test_routes_match_tags_channels_amounts_and_times(match, said):
    """What does not hold is said in words."""
    reason = Reason(
        code="r",
        sentence="s",
        detector="rules",
        type="rule",
        entity_kind="user",
        facts={"tags": ["takeover"]},
    )

    assert mismatch(match, found("a1", channel="web", reasons=(reason,))) == said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"route": Route(mute=("night",))}, "mute timing 'night'"),
        ({"route": Route(escalation=(Escalation(after="1m", channels=("nobody",)),))}, "channel 'nobody'"),
        ({"inhibit": (MERCHANTS, MERCHANTS)}, "same name"),
    ],
)
def test_names_of_nothing_are_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        AlertSettings(**fields)
