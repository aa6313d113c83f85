"""What fires and is over, again and again, is told of less and less often; what comes back later is new."""

from collections import Counter

import msgspec
import pytest
from alert_builders import HIDING, NOON, found, settings
from hypothesis import given
from hypothesis import strategies as st

from alerts.deciding import Decider
from alerts.flapping import REMEMBERED, Ended, back_again, with_end
from alerts.groups import Group
from alerts.notice import Notice, title
from alerts.routebook import RouteState
from alerts.routes import Way

HOUR = 3600.0
MINUTE = 60.0
POLICY = settings("ops", group_wait="0s", group_interval="5m", repeat_interval="4h", resolve_after="1h")
WAY = Way(name="default", resolve_after=HOUR)


class Day:
    """A policy that is looked at each minute, and what it told."""

    def __init__(self):
        self.decider, self.now, self.number = Decider(POLICY, HIDING, ""), NOON.timestamp(), 0
        self.groups, self.routes, self.told = {}, {}, []

    def write(self, step):
        self.groups |= {each.group_id: msgspec.json.decode(each.document, type=Group) for each in step.groups}
        self.routes |= {
            each.route: msgspec.json.decode(each.document, type=RouteState) for each in step.routes
        }
        self.told += [msgspec.json.decode(each.document, type=Notice) for each in step.outgoing]

    def restart(self):
        still = [group for group in self.groups.values() if group.open]
        self.decider = Decider(POLICY, HIDING, "", still, self.routes.values())

    def fires(self, user="u1"):
        self.number += 1
        entries = [(self.number, found(f"a{self.number}", user))]
        self.write(self.decider.take(entries, known={}, silences=(), now=self.now))

    def passes(self, minutes):
        for _ in range(minutes):
            self.write(self.decider.flush(self.now))
            self.now += MINUTE
        self.write(self.decider.flush(self.now))

    def kinds(self):
        return Counter(notice.kind for notice in self.told)


def test_an_entity_that_fires_every_hundred_minutes_is_told_of_twice_in_two_days():
    """Otherwise each of 28 times would be a message of its own, and its end another one."""
    day = Day()
    for _ in range(28):
        day.fires()
        day.passes(100)

    assert day.kinds()["first"] == 2
    assert day.kinds()["resolved"] == 1
    assert [notice.group_id for notice in day.told if notice.kind == "news"]


@pytest.mark.parametrize("restart", [False, True])
def test_each_time_it_stays_open_twice_as_long_and_says_so(restart):
    """One hour, two, four: the message says how often it is back, and why; restarts change nothing."""
    day, opened = Day(), []
    for hours in (1, 2, 4, 8, 16, 16):
        if restart:
            day.restart()
        day.fires()
        day.passes(hours * 60 + 1)
        opened.append([notice for notice in day.told if notice.kind in {"first", "resolved"}][-2:])
        day.passes(10)

    assert [[notice.kind for notice in pair] for pair in opened] == [["first", "resolved"]] * 6
    titles = [title(first).split(": ")[0] for first, _ in opened[1:]]
    assert titles == [f"Back (time {n})" for n in range(1, 6)]
    assert "stays open for 2h" in opened[1][0].why
    assert opened[2][1].why == "nothing new for 4h"


def test_what_comes_back_after_longer_than_it_stayed_open_is_new():
    """An hour and more after its end it begins with one hour again."""
    day = Day()
    day.fires()
    day.passes(60 + 62)
    day.fires()
    day.passes(0)

    assert [notice.back for notice in day.told if notice.kind == "first"] == [0, 0]


def test_who_flaps_says_nothing_of_others():
    """Each entity has its own count."""
    day = Day()
    for _ in range(3):
        day.fires("u1")
        day.passes(300)
    day.fires("u2")
    day.passes(0)

    assert day.told[-1].back == 0


@given(st.lists(st.tuples(st.integers(0, 2000), st.floats(0, 1e4)), max_size=60))
def test_what_is_remembered_is_bounded_and_the_last(ends):
    """At most so many, and always the one that ended last."""
    ended = {str(n): Ended(at=0.0, back=1) for n in range(REMEMBERED - 1)}
    now = 1e9
    for name, later in ends:
        now += later
        labels = (("entity", f"user:{name}"),)
        ended = with_end(ended, labels, 2, now)

        assert len(ended) <= REMEMBERED
        assert back_again(ended, labels, WAY, now) == 3
        assert back_again(ended, labels, WAY, now + 4 * HOUR + 1) == 0
