"""What a route remembers: how much it told in this hour, what it held back, what its day was.

Pure: each step returns the changed state.  Times are seconds since 1970 (UTC).
"""

from collections.abc import Iterable

import msgspec

from alerts.calendar import next_daily
from alerts.flapping import Ended, with_end
from alerts.groups import Group, Kind, Sample
from alerts.routes import Way
from txwatch.model import Severity

HOUR = 3600.0
LISTED = 20
"""So many of the groups held back are listed, the most severe; the others are counted."""
UNDER_BUDGET: frozenset[Kind] = frozenset({"first", "news", "amended", "repeat"})
"""Kinds of message that a budget may hold back; what ends something, or is critical, it never does."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A group that waits for the digest."""

    group_id: str
    severity: int
    members: int
    sample: Sample


class RouteState(msgspec.Struct, frozen=True, kw_only=True):
    """A route's hour and day."""

    name: str
    hour: int = 0
    """Hours since 1970; what was told in any other hour does not count."""
    told: int = 0
    held: tuple[Held, ...] = ()
    others: int = 0
    """Groups held back that are not listed."""
    day_since: float | None = None
    groups: int = 0
    """Opened since then."""
    found: dict[str, int] = {}
    """Anomalies since then, by severity."""
    ended: dict[str, Ended] = {}
    """The groups that were over last (`flapping`)."""


def spend(state: RouteState, way: Way, group: Group, kind: Kind, now: float) -> tuple[RouteState, str]:
    """Return the state after a message that is due, and why it is held back; empty if it is told."""
    budget = way.budget_per_hour
    if budget is None or kind not in UNDER_BUDGET or group.severity >= Severity.CRITICAL:
        return state, ""
    state = _in_hour(state, now)
    if state.told < budget:
        return msgspec.structs.replace(state, told=state.told + 1), ""
    return _with(state, group), f"the budget of {budget} messages an hour on route {way.name} is used up"


def after_end(state: RouteState, group: Group, now: float) -> RouteState:
    """Return the state when a group is over."""
    return msgspec.structs.replace(state, ended=with_end(state.ended, group.labels, group.back, now))


def digest_due(state: RouteState) -> float:
    """Return when what was held back is told."""
    return (state.hour + 1) * HOUR if state.held else float("inf")


def daily_due(state: RouteState, way: Way) -> float:
    """Return when the route's day is told next."""
    if way.daily_digest is None or state.day_since is None:
        return float("inf")
    return next_daily(way.daily_digest, state.day_since)


def after_digest(state: RouteState) -> RouteState:
    """Return the state when the digest was told."""
    return msgspec.structs.replace(state, held=(), others=0)


def new_day(state: RouteState, now: float) -> RouteState:
    """Return the state when a day begins."""
    return msgspec.structs.replace(state, day_since=now, groups=0, found={})


def counted(state: RouteState, severities: Iterable[Severity], opened: int) -> RouteState:
    """Return the state with anomalies and new groups counted to its day."""
    found = dict(state.found)
    for severity in severities:
        found[severity.word] = found.get(severity.word, 0) + 1
    return msgspec.structs.replace(state, found=found, groups=state.groups + opened)


def _in_hour(state: RouteState, now: float) -> RouteState:
    """Begin a new hour, unless the last one's digest is still to be told."""
    hour = int(now // HOUR)
    return state if hour == state.hour or state.held else msgspec.structs.replace(state, hour=hour, told=0)


def _with(state: RouteState, group: Group) -> RouteState:
    new = Held(
        group_id=group.group_id, severity=group.severity, members=group.members, sample=group.samples[0]
    )
    known = any(each.group_id == group.group_id for each in state.held)
    rest = [each for each in state.held if each.group_id != group.group_id]
    held = sorted([*rest, new], key=lambda each: (-each.severity, -each.sample.score))
    beyond = len(held) - LISTED if not known else 0
    return msgspec.structs.replace(state, held=tuple(held[:LISTED]), others=state.others + max(beyond, 0))
