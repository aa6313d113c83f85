"""What deciding writes: groups, decisions, notifications and what routes remember, for one transaction."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from alerts.amending import difference
from alerts.groups import Group, Kind
from alerts.notice import Notice
from alerts.routebook import RouteState
from alerts.routes import Way
from txwatch.ledger import Outgoing, Step, StoredDecision, StoredGroup, StoredRoute
from txwatch.model import Anomaly


class Told:
    """What one flush writes."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.groups: dict[str, StoredGroup] = {}
        self.routes: dict[str, RouteState] = {}
        self.decisions: list[StoredDecision] = []
        self._outgoing: list[Outgoing] = []

    def send(self, notice: Notice, channels: Iterable[str]) -> None:
        """Put a notice into the outbox, once for each channel."""
        document, urgent = msgspec.json.encode(notice), int(is_urgent(notice))
        self._outgoing += [
            Outgoing(
                key=f"{notice.group_id}.{notice.sequence}.{channel}",
                group_id=notice.group_id,
                channel=channel,
                document=document,
                due_at=self.now,
                written_at=self.now,
                urgent=urgent,
            )
            for channel in channels
        ]

    def digest(self, notice: Notice, way: Way) -> None:
        """Put a digest into the outbox, and note at each of its groups that it tells of them."""
        self.send(notice, way.channels)
        why = f"digest {notice.group_id} of route {way.name} lists it: {notice.why}"
        self.decisions += [decision(self.now, None, each, notice.kind, why) for each in notice.groups]

    def step(self) -> Step:
        """Return all that is to be written."""
        return Step(
            groups=list(self.groups.values()),
            decisions=self.decisions,
            outgoing=self._outgoing,
            routes=stored_routes(self.routes),
        )


def is_urgent(notice: Notice) -> bool:
    """Tell whether a message overtakes what waits: somebody is to hear of something critical."""
    return notice.severity == "critical" and notice.kind in {"first", "worse", "escalated"}


def channels_of(group: Group, way: Way, kind: Kind) -> tuple[str, ...]:
    """Return who is told: at a step of escalation its channels, at the end all that were ever told."""
    if kind == "escalated":
        return way.escalation[group.escalated - 1][1]
    if kind in {"worse", "acknowledged", "withdrawn", "resolved"}:
        steps = way.escalation[: group.escalated]
        return tuple(dict.fromkeys([*way.channels, *(name for _, channels in steps for name in channels)]))
    return way.channels


def stored(group: Group) -> StoredGroup:
    """Return a group as the ledger keeps it."""
    return StoredGroup(group_id=group.group_id, open=group.open, document=msgspec.json.encode(group))


def stored_routes(routes: Mapping[str, RouteState]) -> list[StoredRoute]:
    """Return what routes remember as the ledger keeps it."""
    return [StoredRoute(route=name, document=msgspec.json.encode(state)) for name, state in routes.items()]


def decision(
    now: float, anomaly_id: str | None, group: str | None, verdict_: str, reason: str
) -> StoredDecision:
    """Return a decision about an anomaly, a group, or both."""
    return StoredDecision(at=now, anomaly_id=anomaly_id, group_id=group, verdict=verdict_, reason=reason)


def amendments(now: float, anomaly: Anomaly, groups: Sequence[Group]) -> list[StoredDecision]:
    """Return what is decided about an anomaly that was judged otherwise, for each of its groups."""
    why = difference(anomaly)
    if not groups:
        return [decision(now, anomaly.anomaly_id, None, "withdrawn", f"{why}; nobody had been told of it")]
    return [decision(now, anomaly.anomaly_id, group.group_id, "amended", why) for group in groups]
