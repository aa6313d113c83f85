"""Whatever is found, graded down, taken back and found again: groups have what stands, nobody is misled."""

from collections import defaultdict

import msgspec
from alert_builders import HIDING, NOON, found, settings
from hypothesis import given
from hypothesis import strategies as st

from alerts.deciding import Decider
from alerts.groups import Group
from alerts.notice import Notice
from alerts.routebook import RouteState
from txwatch.model import AnomalyState, AnomalyType, Severity

POLICY = settings("ops", group_wait="30s", group_interval="5m", repeat_interval="4h", resolve_after="1h")
MERCHANTS = ("m1", "m2")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 30.0, 300.0, 1800.0, 3600.0, 7200.0]),
        st.integers(0, 4),
        st.sampled_from([None, Severity.HIGH, Severity.CRITICAL]),
        st.booleans(),
    ),
    max_size=25,
)
"""Seconds later the severity of an anomaly changes (None: it is withdrawn); or a restart."""


class Story:
    """A policy, what it wrote, and which anomalies stand."""

    def __init__(self):
        self.decider = Decider(POLICY, HIDING, "")
        self.groups, self.told, self.known, self.routes = {}, [], defaultdict(list), {}
        self.standing, self.revisions, self.number, self.now = {}, {}, 0, NOON.timestamp()

    def restart(self):
        still = [each for each in self.groups.values() if each.open]
        self.decider = Decider(POLICY, HIDING, "", still, self.routes.values())

    def write(self, step):
        self.groups |= {each.group_id: msgspec.json.decode(each.document, type=Group) for each in step.groups}
        states = (msgspec.json.decode(each.document, type=RouteState) for each in step.routes)
        self.routes |= {state.name: state for state in states}
        self.told += [msgspec.json.decode(each.document, type=Notice) for each in step.outgoing]
        for each in step.decisions:
            if each.verdict == "grouped" and each.group_id not in self.known[each.anomaly_id]:
                self.known[each.anomaly_id].append(each.group_id)

    def passes(self, seconds):
        end = self.now + seconds
        while self.now <= end:
            while (step := self.decider.flush(self.now)).groups:
                self.write(step)
            self.now += 30.0

    def becomes(self, number, severity):
        name = f"a{number}"
        before = self.standing.get(name)
        if severity == before or (severity is None and before is None):
            return
        self.revisions[name] = self.revisions.get(name, -1) + 1
        anomaly = self.series(name, severity or before, MERCHANTS[number % 2], before, severity is None)
        self.standing[name] = severity
        self.number += 1
        known = {name: list(self.known[name])} if self.known[name] else {}
        ended = [self.groups[each] for each in self.known[name] if not self.groups[each].open]
        take = {"known": known, "silences": (), "now": self.now, "ended": ended}
        self.write(self.decider.take([(self.number, anomaly)], **take))

    def series(self, name, severity, merchant, before, withdrawn):
        return found(
            name,
            "",
            severity,
            kind="series",
            type=AnomalyType.SERIES,
            entity_kind="merchant",
            entity_id=merchant,
            merchant_id=merchant,
            user_id=None,
            revision=self.revisions[name],
            before=before,
            state=AnomalyState.WITHDRAWN if withdrawn else AnomalyState.FOUND,
        )


def played(events, *, restarts):
    story = Story()
    for seconds, number, severity, restart in events:
        story.passes(seconds)
        if restart and restarts:
            story.restart()
        story.becomes(number, severity)
    story.passes(4 * 3600.0)
    return story


@given(EVENTS)
def test_open_groups_have_what_stands_and_no_more(events):
    """At every moment an open group has members, and none of them was taken back."""
    story = Story()
    for seconds, number, severity, _ in events:
        story.passes(seconds)
        story.becomes(number, severity)
        story.passes(0.0)
        still = [group for group in story.groups.values() if group.open]
        gone = {name for name, standing in story.standing.items() if standing is None}

        assert all(group.members > 0 for group in still)
        assert all(gone.isdisjoint(sample.anomaly_id for sample in group.samples) for group in still)


@given(EVENTS)
def test_whoever_was_told_hears_that_it_was_nothing(events):
    """The last message of a group that was told, and of which nothing stood when it ended, says so."""
    story = played(events, restarts=True)
    last = {notice.group_id: notice for notice in story.told}
    empty = [each for each in story.groups.values() if not each.open and each.members == 0 and each.told]

    assert {last[each.group_id].kind for each in empty} <= {"withdrawn"}
    assert all(last[each.group_id].lines for each in empty)


@given(EVENTS)
def test_restarts_change_no_message(events):
    """What is remembered of groups is all that counts."""
    said = [
        [(notice.group_id, notice.kind, notice.members, notice.lines) for notice in story.told]
        for story in (played(events, restarts=True), played(events, restarts=False))
    ]

    assert said[0] == said[1]
