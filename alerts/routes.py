"""The routing tree: which way an anomaly goes, and by which times its group is told.

As in Alertmanager: a route's first child that matches takes the anomaly, the next ones too where it says
`continue`; one that no child takes stays with the route itself.  A child has its parent's settings unless
it has its own.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from alerts.calendar import Daily
from alerts.matching import Duration, Match, mismatch, seconds
from txwatch.model import Anomaly

GroupKey = Literal[
    "entity", "entity_kind", "type", "severity", "merchant", "user", "channel", "country", "rule", "series"
]


class Escalation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who else is told when nobody acknowledged a group so long after its first message."""

    after: Duration
    channels: tuple[str, ...]


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node of the tree, as it stands in `rules.yaml`; what is missing comes from its parent."""

    name: str = "default"
    match: Match = Match()
    channels: tuple[str, ...] | None = None
    group_by: tuple[GroupKey, ...] | None = None
    group_wait: Duration | None = None
    """How long the first message waits for others to join; a critical anomaly never waits."""
    group_interval: Duration | None = None
    """At least so long between two messages about news of a group."""
    repeat_interval: Duration | None = None
    """How long after the last message an unacknowledged group is told again."""
    resolve_after: Duration | None = None
    """A group without a new anomaly for so long is over."""
    raw_ids: bool | None = None
    """Whether those who read here may see ids instead of pseudonyms."""
    mute: tuple[str, ...] | None = None
    """Names of `mute_timings` in which nothing is told; what is due then is told when they end."""
    escalation: tuple[Escalation, ...] | None = None
    budget_per_hour: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """So many messages an hour; what goes beyond is told in one digest, critical groups at once."""
    daily_digest: Daily | None = None
    """When the last day is told in one message."""
    go_on: bool = msgspec.field(name="continue", default=False)
    routes: tuple["Route", ...] = ()


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A route with everything filled in; times in seconds."""

    name: str = "default"
    match: Match = Match()
    channels: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ("entity",)
    group_wait: float = 30.0
    group_interval: float = 300.0
    repeat_interval: float = 14400.0
    resolve_after: float = 3600.0
    raw_ids: bool = False
    mute: tuple[str, ...] = ()
    escalation: tuple[tuple[float, tuple[str, ...]], ...] = ()
    """(seconds after the first message, channels), in this order."""
    budget_per_hour: int | None = None
    daily_digest: Daily | None = None
    go_on: bool = False
    children: tuple["Way", ...] = ()


def filled_in(route: Route, parent: Way | None = None) -> Way:
    """Return the tree with every setting inherited."""
    parent = Way() if parent is None else parent
    own = {
        "channels": route.channels,
        "group_by": route.group_by,
        "raw_ids": route.raw_ids,
        "mute": route.mute,
        "escalation": _steps(route.escalation),
        "budget_per_hour": route.budget_per_hour,
        "daily_digest": route.daily_digest,
        **{name: _seconds(getattr(route, name)) for name in _TIMES},
    }
    given = {name: value for name, value in own.items() if value is not None}
    way = msgspec.structs.replace(
        parent, name=route.name, match=route.match, go_on=route.go_on, children=(), **given
    )
    return msgspec.structs.replace(way, children=tuple(filled_in(child, way) for child in route.routes))


def ways_of(anomaly: Anomaly, tree: Way) -> list[Way]:
    """Return the routes that take an anomaly; none when it does not match the root."""
    if mismatch(tree.match, anomaly):
        return []
    taken: list[Way] = []
    for child in tree.children:
        found = ways_of(anomaly, child)
        taken += found
        if found and not child.go_on:
            return taken
    return taken or [tree]


def every_way(tree: Way) -> Iterator[Way]:
    """Yield all routes of a tree, the root first."""
    yield tree
    for child in tree.children:
        yield from every_way(child)


def labels_of(anomaly: Anomaly, way: Way) -> tuple[tuple[str, str], ...]:
    """Return what an anomaly has in common with the others of its group."""
    return tuple((key, _label(anomaly, key)) for key in way.group_by)


_TIMES = ("group_wait", "group_interval", "repeat_interval", "resolve_after")


def _seconds(duration: str | None) -> float | None:
    return None if duration is None else seconds(duration)


def _steps(escalation: tuple[Escalation, ...] | None) -> tuple[tuple[float, tuple[str, ...]], ...] | None:
    if escalation is None:
        return None
    return tuple(sorted((seconds(each.after), each.channels) for each in escalation))


def _label(anomaly: Anomaly, key: str) -> str:
    match key:
        case "entity":
            return f"{anomaly.entity_kind}:{anomaly.entity_id}"
        case "severity":
            return anomaly.severity.word
        case "type":
            return anomaly.type.value
        case "rule":
            return ",".join(anomaly.rules)
        case "user" | "merchant":
            return getattr(anomaly, f"{key}_id") or ""
        case _:
            return getattr(anomaly, key) or ""
