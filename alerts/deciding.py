"""The open groups in memory, and what becomes of them when anomalies come or time passes.

No clock, no ledger: both steps take the time and return everything that has to be written, together.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from alerts.amending import amended, amends, there_again
from alerts.calendar import Mutes
from alerts.digest import daily_digest, held_digest
from alerts.flapping import back_again, resolve_after
from alerts.groups import Group, Verdict, due, group_id, joined, told_of, verdict
from alerts.inhibiting import Inhibiting, sources_of, targets_of
from alerts.notice import hiding_of, notice_of
from alerts.policy import CANARY, AlertSettings, canary_way, decide
from alerts.quiet import WAITING, quieting
from alerts.routebook import (
    RouteState,
    after_digest,
    after_end,
    counted,
    daily_due,
    digest_due,
    new_day,
    spend,
)
from alerts.routes import Route, Way, every_way, filled_in, labels_of, ways_of
from alerts.silences import Silence, hiding
from alerts.suppressions import suppressing
from alerts.telling import Told, amendments, channels_of, decision, stored, stored_routes
from txwatch.ledger import Step, StoredDecision
from txwatch.masking import Pseudonym
from txwatch.model import Anomaly, AnomalyState, Mode, Severity

NOTICES = 200
"""So many groups at most are told in one step."""

Place = tuple[str, tuple[tuple[str, str], ...]]


class Decider:
    """Groups by route and labels, a heap of when each has to be looked at, and what the routes remember."""

    def __init__(
        self,
        settings: AlertSettings,
        pseudonym: Pseudonym | None,
        dashboards: str,
        groups: Iterable[Group] = (),
        routes: Iterable[RouteState] = (),
        hid_last: Mapping[str, float] | None = None,
    ) -> None:
        """`hid_last` says when each suppression hid something last, in seconds since 1970."""
        self._settings, self._pseudonym, self._dashboards = settings, pseudonym, dashboards
        self._tree = filled_in(settings.route or Route())
        self._canary = canary_way(settings)
        self._ways = {way.name: way for way in (self._canary, *every_way(self._tree))}
        self._hid_last: dict[str, float] = dict(hid_last or {})
        self._mutes, self._inhibiting = Mutes(settings.mute_timings), Inhibiting()
        self._silences: tuple[Silence, ...] = ()
        self._groups: dict[Place, Group] = {}
        self._due: list[tuple[float, Place]] = []
        self._looked_at: dict[Place, float] = {}
        self._routes = {state.name: state for state in routes}
        for group in groups:
            self._keep(group, group.last_at)

    def __len__(self) -> int:
        """Return how many groups are open."""
        return len(self._groups)

    def take(
        self,
        entries: Sequence[tuple[int, Anomaly]],
        *,
        known: Mapping[str, Sequence[str]],
        silences: tuple[Silence, ...],
        now: float,
        ended: Iterable[Group] = (),
    ) -> Step:
        """Put the queue's entries (number, anomaly) into groups.

        `known` has the groups that each anomaly is in already; `ended` are those of them that are over.
        """
        changed: dict[Place, Group] = {}
        decisions: list[StoredDecision] = []
        routes: dict[str, RouteState] = {}
        seen = {name: list(groups) for name, groups in known.items()}
        closed = {group.group_id: group for group in ended}
        for number, anomaly in entries:
            if amends(anomaly) and (anomaly.anomaly_id in seen or anomaly.state is AnomalyState.WITHDRAWN):
                touched = self._amend(anomaly, seen.get(anomaly.anomaly_id, ()), closed, now)
                changed |= {_place(group): group for group in touched}
                decisions += amendments(now, anomaly, touched)
                continue
            refusal = self._refusal(anomaly, silences, now)
            ways = self._ways_of(anomaly) if refusal is None else []
            if not ways:
                verdict_, reason = refusal or ("dropped", "it does not match the root of the routes")
                decisions.append(decision(now, anomaly.anomaly_id, None, verdict_, reason))
            known_already = anomaly.anomaly_id in seen
            for way in ways:
                group = self._join(way, anomaly, number, now, known=known_already)
                changed[_place(group)] = group
                seen.setdefault(anomaly.anomaly_id, []).append(group.group_id)
                self._count(way, anomaly.severity, routes, opened=group.members == 1)
                reason = self._reason(way, now)
                decisions.append(decision(now, anomaly.anomaly_id, group.group_id, "grouped", reason))
        groups = [stored(group) for group in changed.values()]
        return Step(groups=groups, decisions=decisions, routes=stored_routes(routes))

    def flush(self, now: float, silences: tuple[Silence, ...] = ()) -> Step:
        """Decide about the groups whose time has come; after a standstill several times about one."""
        told, self._silences = Told(now), silences
        while self._due and self._due[0][0] <= now and len(told.groups) < NOTICES:
            when, place = heapq.heappop(self._due)
            if self._looked_at.get(place) == when:
                del self._looked_at[place]
            group = self._groups.get(place)
            if group is None or due(group, self._way(group)) > now:
                continue
            if (free := self._mutes.free_at(self._way(group).mute, now)) > now:
                self._look_at(place, free)
            else:
                self._tell(group, told)
        for way in self._ways.values():
            if (way.budget_per_hour is not None or way.daily_digest is not None) and not self._muted(
                way, now
            ):
                self._digests(way, told)
        return told.step()

    def _refusal(self, anomaly: Anomaly, silences: tuple[Silence, ...], now: float) -> tuple[str, str] | None:
        if anomaly.mode is Mode.CANARY and self._canary.channels:
            return None
        allowed = decide(anomaly, self._settings)
        if not allowed.notify:
            return "below", allowed.reason
        silence = hiding(anomaly, silences, datetime.fromtimestamp(now, UTC), self._pseudonym)
        if silence is not None:
            until = silence.until.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            by = f"silence {silence.silence_id} of {silence.author} until {until}: {silence.comment}"
            return "silenced", by
        suppressed = self._suppressed(anomaly, now)
        if suppressed:
            return "suppressed", suppressed
        why = self._inhibiting.why(targets_of(anomaly, self._settings.inhibit))
        return ("inhibited", why) if why else None

    def _suppressed(self, anomaly: Anomaly, now: float) -> str:
        at, listed = datetime.fromtimestamp(now, UTC), self._settings.suppressions
        found = suppressing(anomaly, listed, at, self._hid_last, self._pseudonym)
        if found is None:
            return ""
        self._hid_last[found.name] = now
        return f"suppression {found.name} of {found.owner} until {found.until}: {found.reason}"

    def _ways_of(self, anomaly: Anomaly) -> list[Way]:
        return [self._canary] if anomaly.mode is Mode.CANARY else ways_of(anomaly, self._tree)

    def _reason(self, way: Way, now: float) -> str:
        muted = self._mutes.active(way.mute, now)
        held = f"; muted by {muted}, told when that is over" if muted else ""
        return f"route {way.name}, channels {', '.join(way.channels) or 'none'}{held}"

    def _join(self, way: Way, anomaly: Anomaly, number: int, now: float, *, known: bool) -> Group:
        labels = labels_of(anomaly, way)
        group = self._groups.get((way.name, labels))
        if group is None:
            name = group_id(way, labels, number)
            back = back_again(self._state(way).ended, labels, way, now)
            group = Group(group_id=name, route=way.name, labels=labels, opened_at=now, last_at=now, back=back)
            known = False
        if anomaly.anomaly_id in group.withdrawn:
            group, known = there_again(group, anomaly), False
        rules = self._settings.inhibit
        sources, targets = sources_of(anomaly, rules), targets_of(anomaly, rules)
        group = joined(group, anomaly, now, known=known, sources=sources, targets=targets)
        self._keep(group, now)
        return group

    def _amend(
        self, anomaly: Anomaly, names: Sequence[str], closed: Mapping[str, Group], now: float
    ) -> list[Group]:
        """Change the groups that an anomaly is in; of those that are over only what is withdrawn is told."""
        here = [group for group in self._groups.values() if group.group_id in names]
        withdrawn = anomaly.state is AnomalyState.WITHDRAWN
        ended = [closed[name] for name in names if name in closed] if withdrawn else []
        found = {group.group_id: group for group in [*ended, *here]}
        changed = [amended(group, anomaly, now) for group in found.values()]
        for group in changed:
            self._keep(group, now)
        return changed

    def _count(self, way: Way, severity: Severity, changed: dict[str, RouteState], *, opened: bool) -> None:
        if way.daily_digest is not None:
            state = counted(self._state(way), [severity], int(opened))
            self._routes[way.name] = changed[way.name] = state

    def _tell(self, group: Group, told: Told) -> None:
        way = self._way(group)
        if why := self._inhibited(group):
            over = msgspec.structs.replace(group, open=False)
            return self._write(over, Verdict(kind=None, reason=why, group=over), told, "inhibited")
        decided = verdict(group, way, told.now)
        kind = decided.kind
        if kind in WAITING and (silence := self._quieting(group, told.now)):
            return self._wait(group, silence, told.now)
        if kind is None:
            return self._write(decided.group, decided, told, "held" if decided.group.open else "withdrawn")
        before = self._state(way)
        state, over_budget = spend(before, way, decided.group, kind, told.now)
        state = after_end(state, group, told.now) if kind == "resolved" else state
        if state is not before:
            self._routes[way.name] = told.routes[way.name] = state
        if over_budget:
            why = f"{decided.reason}; {over_budget}"
            return self._write(told_of(decided.group), decided, told, "held", why)
        if decided.group.first_at is None and kind in {"resolved", "acknowledged", "withdrawn"}:
            why = f"{decided.reason}; it was told in digests only"
            return self._write(decided.group, decided, told, kind, why)
        after = decided.group
        first_at = told.now if after.first_at is None else after.first_at
        after = msgspec.structs.replace(after, first_at=first_at)
        after = after if kind == "escalated" else told_of(after)
        after = msgspec.structs.replace(after, open=after.open and way.name != CANARY)
        self._write(after, decided, told, kind)
        hide = hiding_of(None if way.raw_ids else self._pseudonym, raw_ids=way.raw_ids)
        notice = notice_of(
            decided.group, kind, decided.reason, hide=hide, dashboards=self._dashboards, at=told.now
        )
        return told.send(notice, channels_of(after, way, kind))

    def _quieting(self, group: Group, now: float) -> Silence | None:
        """Return the silence that is about all of a group; no canary is silenced."""
        if group.route == CANARY:
            return None
        return quieting(group, self._silences, now, self._pseudonym)

    def _wait(self, group: Group, silence: Silence, now: float) -> None:
        """Look at a silenced group again when the silence ends, or before, when the group is over.

        Nothing is written: that it waits follows from the silence.
        """
        over = group.last_at + resolve_after(self._way(group), group.back)
        self._look_at(_place(group), min(silence.until.timestamp(), over if over > now else float("inf")))

    def _write(self, after: Group, decided: Verdict, told: Told, word: str, why: str = "") -> None:
        self._keep(after, told.now)
        told.groups[after.group_id] = stored(after)
        told.decisions.append(decision(told.now, None, after.group_id, word, why or decided.reason))

    def _inhibited(self, group: Group) -> str:
        """Say by what a group is inhibited that was never told and of which every anomaly is."""
        if group.told_at is not None or group.members > len(group.samples) or group.sources:
            return ""
        whys = [self._inhibiting.why(sample.targets) for sample in group.samples]
        return whys[0] if all(whys) else ""

    def _digests(self, way: Way, told: Told) -> None:
        state = before = self._state(way)
        hide = hiding_of(None if way.raw_ids else self._pseudonym, raw_ids=way.raw_ids)
        if way.daily_digest is not None and state.day_since is None:
            state = msgspec.structs.replace(state, day_since=told.now)
        if digest_due(state) <= told.now:
            told.digest(held_digest(state, way, hide, self._dashboards, told.now), way)
            state = after_digest(state)
        if daily_due(state, way) <= told.now:
            groups = [group for group in self._groups.values() if group.route == way.name]
            told.digest(daily_digest(state, way, groups, hide, self._dashboards, told.now), way)
            state = new_day(state, told.now)
        if state != before:
            self._routes[way.name] = told.routes[way.name] = state

    def _state(self, way: Way) -> RouteState:
        return self._routes.get(way.name) or RouteState(name=way.name)

    def _muted(self, way: Way, now: float) -> bool:
        return self._mutes.free_at(way.mute, now) > now

    def _keep(self, group: Group, now: float) -> None:
        place = _place(group)
        self._inhibiting.hold(group.group_id, group.sources, is_open=group.open)
        if group.open:
            self._groups[place] = group
            way = self._way(group)
            when = due(group, way)
            self._look_at(place, self._mutes.free_at(way.mute, max(when, now)) if way.mute else when)
        else:
            self._groups.pop(place, None)
            self._looked_at.pop(place, None)

    def _look_at(self, place: Place, when: float) -> None:
        if self._looked_at.get(place) != when:
            self._looked_at[place] = when
            heapq.heappush(self._due, (when, place))

    def _way(self, group: Group) -> Way:
        """Return the group's route; one that was taken out of the file goes on with the root's settings."""
        return self._ways.get(group.route, self._tree)


def _place(group: Group) -> Place:
    """Return where a group is found; one that was over is found by nothing that comes."""
    return group.route, (*group.labels, *((("group", group.group_id),) if group.reopened else ()))
