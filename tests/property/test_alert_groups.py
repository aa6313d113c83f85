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
from alerts.routebook import RouteState
from alerts.silences import Silence, hiding
from txwatch.model import Reason, Severity

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
        self.routes: dict[str, RouteState] = {}
        self.told: list[tuple[float, Notice]] = []
        self.now = 0.0

    def write(self, step):
        for stored in step.groups:
            self.stored[stored.group_id] = msgspec.json.decode(stored.document, type=Group)
        states = (msgspec.json.decode(each.document, type=RouteState) for each in step.routes)
        self.routes |= {state.name: state for state in states}
        self.told += [(self.now, msgspec.json.decode(o.document, type=Notice)) for o in step.outgoing]

    def restart(self):
        still = [group for group in self.stored.values() if group.open]
        self.decider = Decider(POLICY, HIDING, "", still, self.routes.values())

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
            history.write(history.decider.take(entries, known={}, silences=(), now=history.now))
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


MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "user": st.sampled_from([("u1",), ("u1", "u2"), (HIDING("user_id", "u2"),)]),
        "merchant": st.sampled_from([("m1",), ("m2", "m3")]),
        "channel": st.sampled_from([("web",), ("pos", "web")]),
        "severity": st.sampled_from([("high",), ("high", "critical")]),
        "min_amount": st.sampled_from([0.0, 100.0]),
        "max_amount": st.sampled_from([100.0, 1000.0]),
        "tag": st.sampled_from([("takeover",), ("other",)]),
        "rule": st.sampled_from([("denied",), ("other",)]),
    },
)
ANOMALIES = st.fixed_dictionaries(
    {
        "user": st.sampled_from(["u1", "u2", "u3"]),
        "merchant": st.sampled_from(["m1", "m2", None]),
        "channel": st.sampled_from(["web", "pos", None]),
        "severity": st.sampled_from(["high", "critical"]),
        "amount": st.sampled_from([50.0, 100.0, 500.0, None]),
        "tags": st.sampled_from([[], ["takeover"], ["takeover", "more"]]),
        "rule": st.sampled_from([(), ("denied",)]),
    }
)


def is_meant(match, a):
    """The reference: each condition by itself, in plain words."""
    amount = a["amount"]
    return (
        ("user" not in match or a["user"] in match["user"] or HIDING("user_id", a["user"]) in match["user"])
        and ("merchant" not in match or a["merchant"] in match["merchant"])
        and ("channel" not in match or a["channel"] in match["channel"])
        and ("severity" not in match or a["severity"] in match["severity"])
        and ("min_amount" not in match or (amount is not None and amount >= match["min_amount"]))
        and ("max_amount" not in match or (amount is not None and amount <= match["max_amount"]))
        and ("tag" not in match or bool(set(match["tag"]) & set(a["tags"])))
        and ("rule" not in match or bool(set(match["rule"]) & set(a["rule"])))
    )


@given(MATCHES, ANOMALIES)
def test_a_silence_hides_exactly_what_it_means(match, a):
    """Whatever conditions it has; persons by id or by pseudonym."""
    reason = Reason(
        code="r", sentence="", detector="d", type="rule", entity_kind="user", facts={"tags": a["tags"]}
    )
    anomaly = found(
        "a",
        a["user"],
        Severity.parse(a["severity"]),
        merchant_id=a["merchant"],
        channel=a["channel"],
        amount=a["amount"],
        rules=a["rule"],
        reasons=(reason,),
    )
    now = datetime(2026, 3, 2, tzinfo=ZoneInfo("UTC"))
    silence = Silence(
        silence_id="s",
        match=Match(**match),
        since=now,
        until=now + timedelta(hours=1),
        comment="",
        author="",
    )

    assert (hiding(anomaly, (silence,), now, HIDING) is not None) == is_meant(match, a)


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
