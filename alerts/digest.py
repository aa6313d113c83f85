"""Messages about many groups at once: what a budget held back, and what a day was."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from alerts.groups import Group, anomaly_of
from alerts.notice import Hide, Notice, found_of, hidden_name
from alerts.routebook import RouteState
from alerts.routes import Way
from txwatch.model import Anomaly, Severity

SHOWN = 5
"""So many of the most severe are shown with their reasons, ten more by name."""
NAMED = 10


def held_digest(state: RouteState, way: Way, hide: Hide, dashboards: str, now: float) -> Notice:
    """Return one message for all groups that the budget held back, the most severe first."""
    count = len(state.held) + state.others
    return Notice(
        group_id=_id(way, f"held {state.hour}"),
        kind="digest",
        told_at=datetime.fromtimestamp(now, UTC),
        sequence=1,
        why=f"more than {way.budget_per_hour} messages within an hour",
        route=way.name,
        severity=Severity(state.held[0].severity).word,
        members=count,
        entities=tuple(
            (_entity(anomaly_of(each.sample), hide), each.members)
            for each in state.held[SHOWN : SHOWN + NAMED]
        ),
        others=count - min(len(state.held), SHOWN + NAMED),
        found=tuple(found_of(hide(anomaly_of(each.sample)), dashboards) for each in state.held[:SHOWN]),
        groups=tuple(each.group_id for each in state.held),
    )


def daily_digest(
    state: RouteState, way: Way, groups: Sequence[Group], hide: Hide, dashboards: str, now: float
) -> Notice:
    """Return what a route's day was: counts, and the most severe of the groups that are still open."""
    still = sorted(groups, key=lambda group: (-group.severity, -group.members))
    top = [group.samples[0] for group in still[:SHOWN]]
    worst = max((Severity.parse(word) for word in state.found), default=Severity.LOW)
    return Notice(
        group_id=_id(way, f"day {now:.0f}"),
        kind="daily",
        told_at=datetime.fromtimestamp(now, UTC),
        sequence=1,
        why=f"every day at {way.daily_digest.at} {way.daily_digest.zone}" if way.daily_digest else "",
        route=way.name,
        severity=worst.word,
        members=sum(state.found.values()),
        entities=tuple(
            (_entity(anomaly_of(group.samples[0]), hide), group.members)
            for group in still[SHOWN : SHOWN + NAMED]
        ),
        others=max(len(still) - SHOWN - NAMED, 0),
        found=tuple(found_of(hide(anomaly_of(sample)), dashboards) for sample in top),
        lines=_day(state, still),
        groups=tuple(group.group_id for group in still[: SHOWN + NAMED]),
    )


def _day(state: RouteState, still: Sequence[Group]) -> tuple[str, ...]:
    since = datetime.fromtimestamp(state.day_since or 0.0, UTC)
    counts = [
        f"{state.found[each.word]} {each.word}" for each in reversed(Severity) if each.word in state.found
    ]
    waiting = sum(not group.acknowledged_by for group in still)
    open_groups = "1 group is" if len(still) == 1 else f"{len(still)} groups are"
    return (
        f"since {since:%Y-%m-%d %H:%M UTC}: {', '.join(counts) or 'no anomaly'} in {state.groups} new groups",
        f"{open_groups} open, {waiting} of them not acknowledged",
    )


def _entity(anomaly: Anomaly, hide: Hide) -> str:
    return hidden_name(f"{anomaly.entity_kind} {anomaly.entity_id}", hide)


def _id(way: Way, what: str) -> str:
    return hashlib.blake2b(f"{way.name}\0{what}".encode(), digest_size=6).hexdigest()
