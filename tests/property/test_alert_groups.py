"""Whatever comes when: nothing is lost by grouping, throttle or restart, and nobody is told too often."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
from alert_builders import HIDING, found, settings
from hypothesis import given
from hypothesis import strategies as st

from alerts.deciding import Decider
from alerts.groups import Group
from alerts.matching import Match
from alerts.notice import Notice
from alerts.silences import Silence, hiding
from txwatch.model import Severity

WAIT, INTERVAL, REPEAT, RESOLVE = 30.0, 300.0, 3600.0, 7200.0
POLICY = settings(
    "ops", group_wait="30s", group_interval="5m", repeat_interval="1h", resolve_after="2h", group_by=("user",)
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 29.0, 30.0, 31.0, 299.0, 300.0, 3600.0, 7200.0, 20000.0]),
        st.one_of(
            st.none(), st.tuples(st.sampled_from(["u1", "u2", "u3"]), st.sampled_from(list(Severity)[2:]))
        ),
        st.booleans(),
    ),
    max_size=40,
)


class History:
    """What was told, by the clock of the test."""

    def __init__(self) -> None:
        self.decider = Decider(POLICY, HIDING, "")
        self.stored: dict[str, Group] = {}
        self.told: list[tuple[float, Notice]] = []
        self.now = 0.0

    def write(self, step):
        for stored in step.groups:
            self.stored[stored.group_id] = msgspec.json.decode(stored.document, type=Group)
        self.told += [(self.now, msgspec.json.decode(o.document, type=Notice)) for o in step.outgoing]

    def restart(self):
        self.decider = Decider(POLICY, HIDING, "", [g for g in self.stored.values() if g.open])

    def pass_time(self, seconds):
        """Look every ten seconds of the first minutes, then more seldom, as a notifier that looks often."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + (10.0 if end - self.now < 600 else 100.0))
            self.write(self.decider.flush(self.now))


def live(events, *, restarts):
    history = History()
    for number, (seconds, comes, restart) in enumerate(events, start=1):
        history.pass_time(seconds)
        if restart and restarts:
            history.restart()
        if comes is not None:
            user, severity = comes
            entries = [(number, found(f"a{number}", user, severity))]
            history.write(history.decider.take(entries, known=set(), silences=(), now=history.now))
        history.write(history.decider.flush(history.now))
    history.pass_time(30_000.0)
    return history


@given(EVENTS)
def test_every_anomaly_is_in_a_message(events):
    """The reference: count the anomalies that came; the last messages of all groups add up to it."""
    history = live(events, restarts=True)
    came = sum(comes is not None for _, comes, _ in events)

    last = {notice.group_id: notice.members for _, notice in history.told}
    assert sum(last.values()) == came
    assert not any(group.open for group in history.stored.values())


@given(EVENTS)
def test_restarts_change_nothing(events):
    """The same messages at the same times as without a restart."""
    assert live(events, restarts=True).told == live(events, restarts=False).told


@given(EVENTS)
def test_nobody_is_told_too_often(events):
    """No repeat before its interval, no news before theirs unless it became critical."""
    by_group = defaultdict(list)
    for at, notice in live(events, restarts=True).told:
        by_group[notice.group_id].append((at, notice))

    for told in by_group.values():
        kinds = Counter(notice.kind for _, notice in told)
        assert kinds["first"] == 1
        assert kinds["worse"] <= 1
        for (before, _), (after, notice) in pairwise(told):
            least = {"repeat": REPEAT, "news": INTERVAL, "worse": 0.0, "resolved": 0.0}[notice.kind]
            assert after - before >= least


@given(st.integers(-7200, 7200), st.sampled_from(["u1", "u2"]))
def test_a_silence_hides_exactly_its_matchers_and_times(offset, user):
    """Across the hour that Berlin has twice, too: 02:30 to 03:30 is two hours there."""
    berlin = ZoneInfo("Europe/Berlin")
    since = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
    until = datetime(2026, 10, 25, 3, 30, tzinfo=berlin)
    silence = Silence(
        silence_id="s", match=Match(user=("u1",)), since=since, until=until, comment="", author=""
    )
    now = datetime.fromtimestamp(since.timestamp() + offset, tz=ZoneInfo("UTC"))

    hidden = hiding(found("a", user), (silence,), now) is not None

    assert until.timestamp() - since.timestamp() == timedelta(hours=2).total_seconds()
    assert hidden == (user == "u1" and 0 <= offset < 7200)
