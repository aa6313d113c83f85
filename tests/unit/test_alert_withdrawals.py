"""What late data takes back, or grades down, is told to those who were told of it, in their thread."""

import io
from datetime import timedelta

import msgspec
import pytest
from alert_builders import HIDING, NOON, found, notifier, open_ledger, settings

from alerts.amending import amended
from alerts.channels import ConsoleChannel
from alerts.deciding import Decider
from alerts.groups import Group, joined
from alerts.inhibiting import Inhibition
from alerts.matching import Match
from alerts.notice import Notice, hiding_of, notice_of
from alerts.policy import AlertSettings
from alerts.sending import Delivered
from alerts.service import NotifierService
from txwatch.model import AnomalyState, AnomalyType, Severity
from txwatch.testing import ManualClock

NOW = NOON.timestamp()


def drop(name, merchant="m17", severity=Severity.HIGH, **fields):
    about = {"kind": "series", "type": AnomalyType.SERIES, "user_id": None, "amount": None, "currency": None}
    about |= {"entity_kind": "merchant", "entity_id": merchant, "merchant_id": merchant}
    return found(name, "", severity, **about | fields)


def taken_back(anomaly, revision=1):
    changes = {"state": AnomalyState.WITHDRAWN, "revision": revision, "before": anomaly.severity}
    return msgspec.structs.replace(anomaly, **changes)


def graded(anomaly, severity, revision=1):
    return msgspec.structs.replace(anomaly, severity=severity, revision=revision, before=anomaly.severity)


class Taken:
    """A channel that takes everything."""

    def __init__(self):
        self.notices = []

    def send(self, notice, key, reference):
        self.notices.append(notice)
        return Delivered(reference="1")


class Room:
    """A notifier with a ledger, and what its one channel was told."""

    def __init__(self, folder, **route):
        self.clock, self.channel = ManualClock(), Taken()
        self.ledger = open_ledger(folder, self.clock)
        way = {"group_wait": "0s", "group_interval": "5m", "resolve_after": "1h", **route}
        self.policy = settings("ops", **way)
        self.service = self.started()

    def started(self):
        return notifier(self.ledger, self.policy, {"ops": self.channel}, self.clock)

    def comes(self, *anomalies):
        self.ledger.commit_step("detectors", {}, anomalies)
        self.passes(0)

    def passes(self, minutes):
        self.clock.advance(timedelta(minutes=minutes))
        while not self.service.step().finished:
            pass

    def told(self):
        return [(notice.kind, notice.members) for notice in self.channel.notices]

    def why(self, name):
        return [each.verdict for each in self.ledger.alerts().decisions(name)]


@pytest.fixture
def room(tmp_path):
    made = Room(tmp_path)
    yield made
    made.service.close()


def test_the_only_anomaly_of_a_group_is_withdrawn_at_once_and_the_group_is_over(room):
    """Nobody waits for an interval to hear that there was nothing; the message says what was and what is."""
    room.comes(drop("a1"))
    room.comes(taken_back(drop("a1")))

    assert room.told() == [("first", 1), ("withdrawn", 0)]
    first, last = room.channel.notices
    assert first.group_id == last.group_id
    assert last.lines[0].startswith("anomaly a1 is withdrawn, it was high: ")
    assert room.ledger.alerts().open_groups()[1] == []
    assert room.why("a1") == ["grouped", "amended"]


def test_one_of_several_is_withdrawn_in_a_revision(room):
    """The others stand; the group is as severe as the worst of them."""
    room.comes(drop("a1", severity=Severity.CRITICAL), drop("a2"))
    room.comes(taken_back(drop("a1", severity=Severity.CRITICAL)))
    room.passes(6)

    assert room.told() == [("first", 2), ("amended", 1)]
    assert [notice.severity for notice in room.channel.notices] == ["critical", "high"]
    assert [each.anomaly_id for each in room.channel.notices[-1].found] == ["a2"]


def test_what_is_graded_down_is_revised_though_it_would_not_be_told_now(room):
    """Who was told that it is high is told that it is medium, which alone nobody would be told of."""
    room.comes(drop("a1"))
    room.comes(graded(drop("a1"), Severity.MEDIUM))
    room.passes(6)

    assert room.told() == [("first", 1), ("amended", 1)]
    assert room.channel.notices[-1].severity == "medium"
    assert "is medium, it was high" in room.channel.notices[-1].lines[0]


def test_a_group_that_is_over_tells_in_its_own_thread_what_was_none(room):
    """An hour later its message says withdrawn; nothing is opened that would have to be resolved."""
    room.comes(drop("a1"))
    room.passes(61)
    room.comes(taken_back(drop("a1")))
    room.passes(300)

    assert [kind for kind, _ in room.told()] == ["first", "resolved", "withdrawn"]
    assert len({notice.group_id for notice in room.channel.notices}) == 1
    assert room.ledger.alerts().open_groups()[1] == []


def test_a_new_group_of_the_same_merchant_is_not_touched_by_what_an_old_one_takes_back(room):
    """The open group goes on under its own name."""
    room.comes(drop("a1"))
    room.passes(61)
    room.comes(drop("a2"))
    room.comes(taken_back(drop("a1")))
    room.comes(drop("a3"))
    room.passes(6)

    names = [notice.group_id for notice in room.channel.notices]
    assert room.told() == [("first", 1), ("resolved", 1), ("first", 1), ("withdrawn", 0), ("news", 2)]
    assert names[3] == names[0]
    assert names[4] == names[2] != names[0]


def test_what_was_never_told_is_not_told_as_withdrawn(room):
    """Below the policy, or within the wait: a decision says so, no message goes out."""
    room.comes(drop("low", severity=Severity.LOW))
    room.comes(taken_back(drop("low", severity=Severity.LOW)))

    assert room.told() == []
    assert room.why("low") == ["below", "withdrawn"]


def test_a_group_that_still_waits_is_over_without_a_word(tmp_path):
    room = Room(tmp_path, group_wait="10m")
    room.comes(drop("a1"))
    room.comes(taken_back(drop("a1")))
    room.passes(30)
    (group,) = {each.group_id for each in room.ledger.alerts().decisions("a1")}
    room.service.close()

    assert room.told() == []
    assert room.why(group)[-1] == "withdrawn"


def test_what_is_there_again_is_counted_again(room):
    """Withdrawn, then back: the group has it once, and the message says one more."""
    room.comes(drop("a1"), drop("a2"))
    room.comes(taken_back(drop("a1")))
    room.passes(6)
    room.comes(msgspec.structs.replace(drop("a1"), revision=2, before=Severity.HIGH))
    room.passes(6)

    assert room.told() == [("first", 2), ("amended", 1), ("news", 2)]


def test_the_same_withdrawal_twice_is_told_once(room):
    """The queue knows the revision, whatever a detector writes again after a crash."""
    room.comes(drop("a1"))
    room.comes(taken_back(drop("a1")))
    room.comes(drop("a1"))
    room.comes(taken_back(drop("a1")))

    assert room.told() == [("first", 1), ("withdrawn", 0)]


def test_a_crash_between_decision_and_sending_loses_no_withdrawal(room):
    """It is in the outbox with the decision; another process sends it."""
    room.comes(drop("a1"))
    room.ledger.commit_step("detectors", {}, [taken_back(drop("a1"))])
    room.service._decide(room.clock.now().timestamp())
    room.service = room.started()
    room.passes(0)

    assert room.told() == [("first", 1), ("withdrawn", 0)]


def test_a_route_by_severity_finds_what_is_graded_down(tmp_path):
    """It is looked for where it was put, not where it would be put now."""
    room = Room(tmp_path, group_by=("severity",))
    room.comes(drop("a1", severity=Severity.CRITICAL))
    room.comes(graded(drop("a1", severity=Severity.CRITICAL), Severity.HIGH))
    room.passes(6)
    room.service.close()

    assert room.told() == [("first", 1), ("amended", 1)]


def test_many_differences_are_counted_and_the_last_are_shown():
    """A group keeps a few sentences, and says of how many they are the last."""
    group = Group(group_id="g", route="r", labels=(), opened_at=NOW, last_at=NOW)
    for n in range(9):
        group = joined(group, drop(f"a{n}"), NOW)
    for n in range(8):
        group = amended(group, taken_back(drop(f"a{n}")), NOW)

    notice = notice_of(group, "amended", "", hide=hiding_of(HIDING, raw_ids=False), dashboards="", at=NOW)
    assert notice.lines[0] == "8 were judged otherwise, the last of them:"
    assert [line.split()[1] for line in notice.lines[1:]] == ["a3", "a4", "a5", "a6", "a7"]
    assert (notice.members, len(notice.found)) == (1, 1)


def test_a_difference_names_no_person():
    """Only what is said of series is repeated; the sentence about a person stays in its place."""
    group = joined(Group(group_id="g", route="r", labels=(), opened_at=NOW, last_at=NOW), found("a1"), NOW)
    group = amended(group, taken_back(found("a1")), NOW)

    assert group.changes == ("anomaly a1 is withdrawn, it was high",)


def test_an_inhibition_ends_with_what_is_withdrawn():
    """What whole-merchant anomalies hid is told again once they were none."""
    way = settings("ops", group_wait="0s")
    inhibit = Inhibition(
        name="whole",
        source=Match(entity_kind=("merchant",)),
        target=Match(entity_kind=("user",)),
        equal=("merchant",),
    )
    policy = AlertSettings(channels=way.channels, route=way.route, inhibit=(inhibit,))
    decider = Decider(policy, HIDING, "")
    take = {"known": {}, "silences": (), "now": NOW}
    first = decider.take([(1, drop("a1")), (2, found("a2", merchant_id="m17"))], **take)
    decider.flush(NOW)
    known = {"a1": [first.decisions[0].group_id]}
    decider.take([(3, taken_back(drop("a1")))], **take | {"known": known})
    decider.flush(NOW)
    last = decider.take([(4, found("a3", merchant_id="m17"))], **take)

    assert [each.verdict for each in first.decisions] == ["grouped", "inhibited"]
    assert [each.verdict for each in last.decisions] == ["grouped"]


def test_the_console_says_what_is_withdrawn_and_what_is_graded_down(tmp_path):
    """One line each, for those who were told of it, and nothing of what never reached them."""
    ledger = open_ledger(tmp_path, ManualClock())
    lines = io.StringIO()
    service = NotifierService(ledger, [ConsoleChannel(lines)], AlertSettings(min_severity="high"))
    low = drop("a3", severity=Severity.MEDIUM)
    for each in (drop("a1"), taken_back(drop("a1")), drop("a2"), graded(drop("a2"), Severity.MEDIUM), low):
        ledger.commit_step("detectors", {}, [each])
    ledger.commit_step("detectors", {}, [taken_back(low)])
    while service.step().handled:
        pass

    assert [line.split()[0] for line in lines.getvalue().splitlines()] == [
        "HIGH",
        "WITHDRAWN",
        "HIGH",
        "MEDIUM",
    ]


def test_every_message_is_a_notice_that_can_be_read_again(room):
    """What is in the outbox is what a channel gets, whatever its kind."""
    room.comes(drop("a1"))
    room.comes(taken_back(drop("a1")))
    documents = [each.document for each in room.ledger.alerts().outbox(limit=10)]

    assert [msgspec.json.decode(each, type=Notice).kind for each in documents] == ["withdrawn", "first"]
