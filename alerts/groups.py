"""A group of alerts: what belongs to it, what has been told of it, and when what is to be told next.

Pure: `joined` and `verdict` return new groups.  Times are seconds since 1970 (UTC): 100,000 groups are
looked through at once.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from alerts.flapping import resolve_after, said
from alerts.inhibiting import Mark, Source
from alerts.matching import duration
from alerts.routes import Way
from txwatch.masking import PERSONAL
from txwatch.model import Anomaly, Reason, Severity

SAMPLES = 3
REASONS = 3
CHANGES = 5
ENTITIES = 200
"""So many are named with their counts; those beyond are counted together."""

_NOTHING: tuple[object, ...] = (None, {})
"""What is not written down: it is the default of every field that may have it."""

Kind = Literal[
    "first",
    "news",
    "amended",
    "worse",
    "repeat",
    "escalated",
    "acknowledged",
    "withdrawn",
    "resolved",
    "digest",
    "daily",
]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One anomaly of a group as a message shows it."""

    anomaly_id: str
    severity: int
    score: float
    document: bytes
    """The anomaly as JSON, with what messages need of it."""
    targets: tuple[Mark, ...] = ()
    """By what it would be inhibited."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts that are told together."""

    group_id: str
    route: str
    labels: tuple[tuple[str, str], ...]
    opened_at: float
    last_at: float
    severity: int = 0
    """The highest so far."""
    members: int = 0
    entities: dict[str, int] = {}
    others: int = 0
    """Anomalies of entities that are not named any more."""
    samples: tuple[Sample, ...] = ()
    """The most severe ones, the worst first."""
    told: int = 0
    """How many messages there were."""
    told_at: float | None = None
    """When it was told, or held back for a digest, last."""
    first_at: float | None = None
    """When it was told on its own first; None while digests alone tell of it."""
    escalated: int = 0
    """How many steps of escalation there were."""
    sources: tuple[Source, ...] = ()
    """What its anomalies inhibit."""
    changes: tuple[str, ...] = ()
    """What was found otherwise than told, since the last message: the last few."""
    changed: int = 0
    """How often something was."""
    told_members: int = 0
    told_severity: int = 0
    withdrawn: tuple[str, ...] = ()
    """Anomalies that late data took back; they are no members any more."""
    back: int = 0
    """How often it has come back soon after it was over (`flapping`)."""
    reopened: bool = False
    """It was over when something of it was taken back: this is told, then it is over again."""
    acknowledged_by: str = ""
    told_acknowledged: bool = False
    open: bool = True


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be told of a group now (None: nothing), why, and the group afterwards."""

    kind: Kind | None
    reason: str
    group: Group


def group_id(way: Way, labels: tuple[tuple[str, str], ...], number: int) -> str:
    """Return the id of the group that the queue's entry `number` opens: the same after every crash."""
    text = "\0".join([way.name, str(number), *(f"{key}={value}" for key, value in labels)])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def joined(
    group: Group,
    anomaly: Anomaly,
    now: float,
    *,
    known: bool = False,
    sources: tuple[Source, ...] = (),
    targets: tuple[Mark, ...] = (),
) -> Group:
    """Return the group with an anomaly in it; one that is `known` already was only found more severe.

    `sources` are what it inhibits, `targets` by what it would be inhibited.
    """
    entity = f"{anomaly.entity_kind} {anomaly.entity_id}"
    named = entity in group.entities or len(group.entities) < ENTITIES
    count = 0 if known else 1
    entities = {**group.entities, entity: group.entities.get(entity, 0) + count} if named else group.entities
    return msgspec.structs.replace(
        group,
        last_at=now,
        severity=max(group.severity, int(anomaly.severity)),
        members=group.members + count,
        entities=entities,
        others=group.others + (0 if named else count),
        samples=_with(group.samples, anomaly, targets),
        sources=_inhibiting(group.sources, sources),
        changes=(*group.changes, _change(group, anomaly))[-CHANGES:] if known else group.changes,
        changed=group.changed + int(known),
    )


def due(group: Group, way: Way) -> float:
    """Return when something has to be decided about a group next."""
    over = group.last_at + resolve_after(way, group.back)
    if _withdrawn(group):
        return group.last_at
    if group.told_at is None:
        return group.opened_at + _wait(group, way)
    if _worse(group) or _newly_acknowledged(group):
        return group.told_at
    if _news(group):
        return min(group.told_at + way.group_interval, _escalation(group, way))
    if group.acknowledged_by:
        return over
    return min(over, group.told_at + way.repeat_interval, _escalation(group, way))


def told_of(group: Group) -> Group:
    """Return the group when its changes stand in a message."""
    return msgspec.structs.replace(group, changes=(), changed=0) if group.changes else group


def verdict(group: Group, way: Way, now: float) -> Verdict:
    """Decide what is told of a group at a time, with the reason."""
    if now < due(group, way):
        return Verdict(kind=None, reason=f"not before {_interval(group, way)}", group=group)
    if _withdrawn(group):
        return _taken_back(group, now)
    if group.told_at is None:
        wait = _wait(group, way)
        why = "critical does not wait" if wait == 0 else f"group_wait of {duration(wait)} is over"
        return _told(group, "first", f"first message: {why}{said(group.back, way)}", now)
    if _worse(group):
        return _told(group, "worse", "it has become critical, which does not wait", now)
    if _newly_acknowledged(group):
        return _told(group, "acknowledged", f"acknowledged by {group.acknowledged_by}", now)
    return _later(group, way, now)


def anomaly_of(sample: Sample) -> Anomaly:
    """Return the anomaly of a sample."""
    return msgspec.json.decode(sample.document, type=Anomaly)


def _taken_back(group: Group, now: float) -> Verdict:
    """Tell at once that nothing is left, or that something of a group that is over already was none."""
    over = msgspec.structs.replace(group, open=False)
    if group.told_at is None:
        return Verdict(kind=None, reason="withdrawn before anything was told of it", group=over)
    if group.members:
        return _told(over, "amended", f"{group.changed} withdrawn after it was over", now)
    return _told(over, "withdrawn", "late data showed that there was nothing", now)


def _later(group: Group, way: Way, now: float) -> Verdict:
    fresh = group.members - group.told_members
    if now >= group.last_at + resolve_after(way, group.back):
        why = f"nothing new for {duration(resolve_after(way, group.back))}"
        return _told(msgspec.structs.replace(group, open=False), "resolved", why, now)
    if now >= _escalation(group, way):
        return _escalated(group, way)
    if group.changes:
        why = f"{group.changed} found otherwise, group_interval of {duration(way.group_interval)} is over"
        return _told(group, "amended", why, now)
    if _news(group):
        why = f"{fresh} more since the last message, group_interval of {duration(way.group_interval)} is over"
        return _told(group, "news", why, now)
    return _told(group, "repeat", f"repeat_interval of {duration(way.repeat_interval)} is over", now)


def _told(group: Group, kind: Kind, reason: str, now: float) -> Verdict:
    after = msgspec.structs.replace(
        group,
        told=group.told + 1,
        told_at=now,
        told_members=group.members,
        told_severity=group.severity,
        told_acknowledged=bool(group.acknowledged_by),
    )
    return Verdict(kind=kind, reason=reason, group=after)


def _escalation(group: Group, way: Way) -> float:
    """Return when the next step of escalation is due; a group that was never told on its own has none."""
    if group.first_at is None or group.acknowledged_by or group.escalated >= len(way.escalation):
        return float("inf")
    return group.first_at + way.escalation[group.escalated][0]


def _escalated(group: Group, way: Way) -> Verdict:
    """Tell others too; the rhythm of those who know already stays as it is."""
    after, _ = way.escalation[group.escalated]
    why = f"nobody acknowledged it within {duration(after)}"
    grown = msgspec.structs.replace(group, told=group.told + 1, escalated=group.escalated + 1)
    return Verdict(kind="escalated", reason=why, group=grown)


def _withdrawn(group: Group) -> bool:
    return group.reopened or (group.members == 0 and bool(group.withdrawn))


def _wait(group: Group, way: Way) -> float:
    return 0.0 if group.severity >= Severity.CRITICAL else way.group_wait


def _worse(group: Group) -> bool:
    return group.severity >= Severity.CRITICAL > group.told_severity


def _newly_acknowledged(group: Group) -> bool:
    return bool(group.acknowledged_by) and not group.told_acknowledged


def _news(group: Group) -> bool:
    return bool(group.changes) or group.members > group.told_members or group.severity > group.told_severity


def _interval(group: Group, way: Way) -> str:
    if group.told_at is None:
        return f"group_wait of {duration(way.group_wait)} is over"
    if _news(group):
        return f"group_interval of {duration(way.group_interval)} is over"
    over = f"resolve_after of {duration(resolve_after(way, group.back))}"
    return f"repeat_interval of {duration(way.repeat_interval)}, or {over}, is over"


def _change(group: Group, anomaly: Anomaly) -> str:
    before = next((each for each in group.samples if each.anomaly_id == anomaly.anomaly_id), None)
    was = "" if before is None else f", it was {Severity(before.severity).word} ({before.score:.0f})"
    return f"anomaly {anomaly.anomaly_id} is {anomaly.severity.word} ({anomaly.score:.0f}){was}"


def _inhibiting(known: tuple[Source, ...], new: tuple[Source, ...]) -> tuple[Source, ...]:
    marks = {source.mark for source in known}
    fresh = tuple(source for source in new if source.mark not in marks)
    return (known + fresh)[:ENTITIES] if fresh else known


def _with(samples: tuple[Sample, ...], anomaly: Anomaly, targets: tuple[Mark, ...]) -> tuple[Sample, ...]:
    rank = (int(anomaly.severity), anomaly.score)
    if len(samples) == SAMPLES and (samples[-1].severity, samples[-1].score) >= rank:
        return samples
    others = [sample for sample in samples if sample.anomaly_id != anomaly.anomaly_id]
    return the_worst([*others, sample_of(anomaly, targets)])


def sample_of(anomaly: Anomaly, targets: tuple[Mark, ...]) -> Sample:
    """Return an anomaly as a group keeps it; `targets` are by what it would be inhibited."""
    return Sample(
        anomaly_id=anomaly.anomaly_id,
        severity=int(anomaly.severity),
        score=anomaly.score,
        document=_short(anomaly),
        targets=targets,
    )


def the_worst(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Return the most severe samples, the worst first."""
    return tuple(sorted(samples, key=lambda s: (-s.severity, -s.score))[:SAMPLES])


def _short(anomaly: Anomaly) -> bytes:
    """Return the strongest reasons, and of the facts those by which persons are found in sentences."""
    personal = [_personal(reason) for reason in anomaly.reasons]
    kept = [_slim(reason) for i, reason in enumerate(personal) if i < REASONS or reason.facts]
    fields = msgspec.structs.asdict(anomaly) | {"reasons": kept, "detectors": {}, "versions": {}}
    return msgspec.json.encode({name: value for name, value in fields.items() if value not in _NOTHING})


def _slim(reason: Reason) -> dict[str, Any]:
    fields = msgspec.structs.asdict(reason)
    return {name: value for name, value in fields.items() if value not in _NOTHING}


def _personal(reason: Reason) -> Reason:
    facts = {name: value for name, value in reason.facts.items() if name in PERSONAL}
    return msgspec.structs.replace(reason, facts=facts)
