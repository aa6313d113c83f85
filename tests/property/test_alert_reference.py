"""The policy against a small model that derives everything from the whole history, again at every look."""

from datetime import UTC, datetime

import msgspec
from alert_builders import HIDING, found
from hypothesis import given
from hypothesis import settings as tuning
from hypothesis import strategies as st

from alerts.calendar import Times
from alerts.deciding import Decider
from alerts.groups import Group
from alerts.notice import Notice
from alerts.policy import AlertSettings, ChannelSettings
from alerts.routebook import RouteState
from alerts.routes import Escalation, Route
from txwatch.model import Severity

WAIT, INTERVAL, REPEAT, RESOLVE, ESCALATE = 30.0, 300.0, 3600.0, 7200.0, 900.0
START = datetime(2026, 10, 24, 21, 30, tzinfo=UTC).timestamp()
"""Half an hour before a night of nine hours in Berlin."""
NIGHT = Times(zone="Europe/Berlin", since="00:00", until="04:00")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 10.0, 30.0, 300.0, 900.0, 3600.0, 7200.0]),
        st.one_of(
            st.none(), st.tuples(st.sampled_from(["u1", "u2", "u3"]), st.sampled_from(list(Severity)[2:]))
        ),
        st.booleans(),
    ),
    max_size=25,
)


def policy(**route: object):
    channels = {name: ChannelSettings(kind="slack", to=("#fraud",)) for name in ("ops", "phone")}
    way = Route(
        channels=("ops",),
        group_wait="30s",
        group_interval="5m",
        repeat_interval="1h",
        resolve_after="2h",
        group_by=("user",),
        **route,
    )
    return AlertSettings(channels=channels, route=way, mute_timings={"night": (NIGHT,)})


class Live:
    """The policy itself; a restart reads what was written."""

    def __init__(self, rules):
        self.rules, self.groups, self.routes = rules, {}, {}
        self.decider = Decider(rules, HIDING, "")
        self.told: list[tuple[float, Notice]] = []
        self.why: list[tuple[str | None, str]] = []

    def write(self, now, step):
        self.groups |= {g.group_id: msgspec.json.decode(g.document, type=Group) for g in step.groups}
        self.routes |= {r.route: msgspec.json.decode(r.document, type=RouteState) for r in step.routes}
        told = ((o.channel, msgspec.json.decode(o.document, type=Notice)) for o in step.outgoing)
        self.told += [(now, n) for channel, n in told if (channel == "ops") != (n.kind == "escalated")]
        self.why += [(decision.group_id, decision.verdict) for decision in step.decisions]

    def restart(self):
        still = [group for group in self.groups.values() if group.open]
        self.decider = Decider(self.rules, HIDING, "", still, self.routes.values())

    def take(self, now, number, user, severity):
        entries = [(number, found(f"a{number}", user, severity))]
        self.write(now, self.decider.take(entries, known={}, silences=(), now=now))

    def look(self, now):
        while (step := self.decider.flush(now)).groups or step.outgoing or step.routes:
            self.write(now, step)


class Model:
    """Each user's anomalies and messages of the group that is open; what is due follows from them alone."""

    def __init__(self, *, muted):
        self.muted = muted
        self.open: dict[str, tuple[list, list]] = {}
        self.back: dict[str, int] = {}
        self.over: dict[str, float] = {}
        self.told: list[tuple[float, str, int]] = []

    def take(self, now, number, user, severity):
        if user not in self.open:
            soon = now - self.over.get(user, float("-inf")) <= self.resolve(user)
            self.back[user] = self.back.get(user, -1) + 1 if soon else 0
        came, _ = self.open.setdefault(user, ([], []))
        came.append((now, severity))

    def look(self, now):
        if self.muted and within_night(now):
            return
        for user in list(self.open):
            while user in self.open and (kind := self.due(now, user, *self.open[user])):
                came, messages = self.open[user]
                messages.append((now, kind, len(came), max(severity for _, severity in came)))
                self.told.append((now, kind, len(came)))
                if kind == "resolved":
                    del self.open[user]
                    self.over[user] = now

    def resolve(self, user):
        """Twice as long each time that it came back, four times at most."""
        return RESOLVE * 2 ** min(self.back.get(user, 0), 4)

    def due(self, now, user, came, messages):
        worst = max(severity for _, severity in came)
        if not messages:
            return "first" if worst is Severity.CRITICAL or now >= came[0][0] + WAIT else ""
        at, _, members, severity = [m for m in messages if m[1] != "escalated"][-1]
        if worst is Severity.CRITICAL and severity < worst:
            return "worse"
        if now >= came[-1][0] + self.resolve(user):
            return "resolved"
        if self.late(now, messages):
            return "escalated"
        if len(came) > members:
            return "news" if now >= at + INTERVAL else ""
        return "repeat" if now >= at + REPEAT else ""

    def late(self, now, messages):
        return now >= messages[0][0] + ESCALATE and all(kind != "escalated" for _, kind, _, _ in messages)


def within_night(at: float) -> bool:
    """00:00 to 04:00 in Berlin in that night: from 22:00 UTC, summer time, to 03:00 UTC, winter time."""
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC).timestamp()
    return begin <= at < begin + 5 * 3600 or begin + 25 * 3600 <= at < begin + 29 * 3600


def play(events, *players, restarts=True):
    now = START
    for number, (seconds, comes, restart) in enumerate([*events, (100_000.0, None, False)], start=1):
        end = now + seconds
        while now < end:
            now = min(end, now + (10.0 if end - now <= 900 else 60.0))
            for player in players:
                player.look(now)
        for player in players:
            if restart and restarts and isinstance(player, Live):
                player.restart()
            if comes is not None:
                player.take(now, number, *comes)
            player.look(now)


@given(EVENTS, st.booleans())
@tuning(deadline=None, max_examples=60)
def test_the_policy_tells_what_the_model_tells(events, muted):
    """The same messages at the same times, with restarts in between, over a night with a change of clocks."""
    steps = (Escalation(after="15m", channels=("phone",)),)
    live, model = (
        Live(policy(escalation=steps, **({"mute": ("night",)} if muted else {}))),
        Model(muted=muted),
    )

    play(events, live, model)

    told = sorted((at, notice.kind, notice.members) for at, notice in live.told)
    assert told == sorted(model.told)
    assert not model.open


@given(EVENTS, st.integers(0, 3))
@tuning(deadline=None, max_examples=60)
def test_a_budget_holds_back_and_loses_nothing(events, budget):
    """So many an hour; each group held back is in a digest; critical ones are never held back."""
    live = Live(policy(budget_per_hour=budget))

    play(events, live)

    by_hour: dict[int, int] = {}
    for at, notice in live.told:
        if notice.kind in {"first", "news", "repeat"} and notice.severity != "critical":
            by_hour[int(at // 3600)] = by_hour.get(int(at // 3600), 0) + 1
    assert all(count <= budget for count in by_hour.values())
    held = {group for group, verdict in live.why if verdict == "held"}
    assert held == {group for _, notice in live.told for group in notice.groups if notice.kind == "digest"}
    told = {notice.group_id for _, notice in live.told}
    came = {group for group, verdict in live.why if verdict == "grouped"}
    assert came == (told & came) | held
