"""The open groups in memory, and what becomes of them when anomalies come or time passes.

No clock, no ledger: both steps take the time and return everything that has to be written, together.
"""

import heapq
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from alerts.groups import Group, Kind, due, group_id, joined, verdict
from alerts.notice import notice_of
from alerts.policy import AlertSettings, decide
from alerts.routes import Route, Way, every_way, filled_in, labels_of, ways_of
from alerts.silences import Silence, hiding
from txwatch.ledger import Outgoing, Step, StoredDecision, StoredGroup
from txwatch.masking import Pseudonym
from txwatch.model import Anomaly

NOTICES = 200
"""So many groups at most are told in one step."""

Place = tuple[str, tuple[tuple[str, str], ...]]


class Decider:
    """Groups by route and labels, and a heap of when each has to be looked at."""

    def __init__(
        self,
        settings: AlertSettings,
        pseudonym: Pseudonym | None,
        dashboards: str,
        groups: Iterable[Group] = (),
    ) -> None:
        self._settings, self._pseudonym, self._dashboards = settings, pseudonym, dashboards
        self._tree = filled_in(settings.route or Route())
        self._ways = {way.name: way for way in every_way(self._tree)}
        self._groups: dict[Place, Group] = {}
        self._due: list[tuple[float, Place]] = []
        self._looked_at: dict[Place, float] = {}
        for group in groups:
            self._keep(group)

    def __len__(self) -> int:
        """Return how many groups are open."""
        return len(self._groups)

    def take(
        self,
        entries: Sequence[tuple[int, Anomaly]],
        *,
        known: Collection[str],
        silences: tuple[Silence, ...],
        now: float,
    ) -> Step:
        """Put the queue's entries (number, anomaly) into groups; `known` are in one already."""
        changed: dict[Place, Group] = {}
        decisions: list[StoredDecision] = []
        seen = set(known)
        for number, anomaly in entries:
            refusal = self._refusal(anomaly, silences, now)
            ways = [] if refusal else ways_of(anomaly, self._tree)
            if not ways:
                verdict_, reason = refusal or ("dropped", "it does not match the root of the routes")
                decisions.append(_decision(now, anomaly.anomaly_id, None, verdict_, reason))
            for way in ways:
                group = self._join(way, anomaly, number, now, known=anomaly.anomaly_id in seen)
                changed[group.route, group.labels] = group
                reason = f"route {way.name}, channels {', '.join(way.channels) or 'none'}"
                decisions.append(_decision(now, anomaly.anomaly_id, group.group_id, "grouped", reason))
            if ways:
                seen.add(anomaly.anomaly_id)
        return Step(groups=[_stored(group) for group in changed.values()], decisions=decisions)

    def flush(self, now: float) -> Step:
        """Decide about the groups whose time has come; after a standstill several times about one."""
        groups: dict[str, StoredGroup] = {}
        decisions: list[StoredDecision] = []
        outgoing: list[Outgoing] = []
        while self._due and self._due[0][0] <= now and len(groups) < NOTICES:
            _, place = heapq.heappop(self._due)
            group = self._groups.get(place)
            if group is None or due(group, self._way(group)) > now:
                continue
            decided = verdict(group, self._way(group), now)
            self._keep(decided.group)
            groups[group.group_id] = _stored(decided.group)
            decisions.append(_decision(now, None, group.group_id, decided.kind or "held", decided.reason))
            outgoing += self._outgoing(decided.group, decided.kind, decided.reason, now)
        return Step(groups=list(groups.values()), decisions=decisions, outgoing=outgoing)

    def _refusal(self, anomaly: Anomaly, silences: tuple[Silence, ...], now: float) -> tuple[str, str] | None:
        decision = decide(anomaly, self._settings)
        if not decision.notify:
            return "below", decision.reason
        silence = hiding(anomaly, silences, datetime.fromtimestamp(now, UTC), self._pseudonym)
        if silence is None:
            return None
        until = silence.until.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return (
            "silenced",
            f"silence {silence.silence_id} of {silence.author} until {until}: {silence.comment}",
        )

    def _join(self, way: Way, anomaly: Anomaly, number: int, now: float, *, known: bool) -> Group:
        labels = labels_of(anomaly, way)
        group = self._groups.get((way.name, labels))
        if group is None:
            name = group_id(way, labels, number)
            group = Group(group_id=name, route=way.name, labels=labels, opened_at=now, last_at=now)
            known = False
        group = joined(group, anomaly, now, known=known)
        self._keep(group)
        return group

    def _keep(self, group: Group) -> None:
        place = (group.route, group.labels)
        if group.open:
            self._groups[place] = group
            when = due(group, self._way(group))
            if self._looked_at.get(place) != when:
                self._looked_at[place] = when
                heapq.heappush(self._due, (when, place))
        else:
            self._groups.pop(place, None)
            self._looked_at.pop(place, None)

    def _way(self, group: Group) -> Way:
        """Return the group's route; one that was taken out of the file goes on with the root's settings."""
        return self._ways.get(group.route, self._tree)

    def _outgoing(self, group: Group, kind: Kind | None, why: str, now: float) -> list[Outgoing]:
        if kind is None:
            return []
        way = self._way(group)
        notice = notice_of(group, kind, why, way=way, pseudonym=self._pseudonym, dashboards=self._dashboards)
        document = msgspec.json.encode(notice)
        return [
            Outgoing(
                key=f"{group.group_id}.{group.told}.{channel}",
                group_id=group.group_id,
                channel=channel,
                document=document,
                due_at=now,
                written_at=now,
            )
            for channel in way.channels
        ]


def _stored(group: Group) -> StoredGroup:
    return StoredGroup(group_id=group.group_id, open=group.open, document=msgspec.json.encode(group))


def _decision(
    now: float, anomaly_id: str | None, group: str | None, verdict_: str, reason: str
) -> StoredDecision:
    return StoredDecision(at=now, anomaly_id=anomaly_id, group_id=group, verdict=verdict_, reason=reason)
