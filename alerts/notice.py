"""What a message says, before any channel words it: plain values, with persons hidden."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from alerts.groups import Group, Kind, anomaly_of
from txwatch.masking import PERSONAL, Pseudonym, pseudonymous
from txwatch.model import Anomaly, Severity

REASONS = 3
NAMED = 10
ONE_HOUR = 3_600_000
EVERYTHING = "all traffic"


Hide = Callable[[Anomaly], Anomaly]
"""What makes an anomaly such as a reader may see it."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One anomaly as a message shows it; `when` is aware, `amount` has its currency."""

    anomaly_id: str
    severity: str
    entity: str
    when: datetime
    amount: str
    reasons: tuple[str, ...]
    link: str
    transaction_id: str | None = None
    label_link: str = ""
    """Where somebody says what it was; made for each recipient when the message is sent."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notification about one group."""

    group_id: str
    kind: Kind
    told_at: datetime
    sequence: int
    """1 for the first message about the group."""
    why: str
    route: str
    severity: str
    members: int
    entities: tuple[tuple[str, int], ...]
    """The most concerned ones, with the number of their anomalies."""
    others: int
    """How many entities or, of those not counted one by one, anomalies are not named."""
    found: tuple[Found, ...]
    """The most severe first; empty in the digest of a quiet day alone."""
    acknowledged_by: str = ""
    acknowledge_link: str = ""
    """Where somebody acknowledges the group; made for each recipient when the message is sent."""
    lines: tuple[str, ...] = ()
    """What a digest says of a day; what was found otherwise than told."""
    back: int = 0
    """How often the group has come back soon after it was over."""
    groups: tuple[str, ...] = ()
    """Of which groups a digest tells."""


def notice_of(group: Group, kind: Kind, why: str, *, hide: Hide, dashboards: str, at: float) -> Notice:
    """Return what is said of a group at a time, to those who may see what `hide` leaves."""
    named = sorted(group.entities.items(), key=lambda item: (-item[1], item[0]))
    return Notice(
        group_id=group.group_id,
        kind=kind,
        told_at=datetime.fromtimestamp(at, UTC),
        sequence=group.told,
        why=why,
        route=group.route,
        severity=Severity(group.severity).word,
        members=group.members,
        entities=tuple((hidden_name(entity, hide), count) for entity, count in named[:NAMED]),
        others=max(len(named) - NAMED, 0) + group.others,
        found=tuple(found_of(hide(anomaly_of(sample)), dashboards) for sample in group.samples),
        acknowledged_by=group.acknowledged_by,
        lines=_changes(group),
        back=group.back,
    )


def _changes(group: Group) -> tuple[str, ...]:
    if group.changed <= len(group.changes):
        return group.changes
    return f"{group.changed} were judged otherwise, the last of them:", *group.changes


def title(notice: Notice) -> str:
    """Return one line: state, severity, who, how many."""
    if notice.kind == "daily":
        return f"Daily digest of route {notice.route}: {notice.members} anomalies"
    if notice.kind == "digest":
        return f"Digest: {notice.members} groups held back, the worst {notice.severity.upper()}"
    state = {"resolved": "Resolved: ", "acknowledged": "Acknowledged: ", "repeat": "Still open: "}
    state |= {"amended": "Revised: ", "withdrawn": "Withdrawn: ", "escalated": "Nobody acknowledged: "}
    state |= {"first": f"Back (time {notice.back}): "} if notice.back else {}
    severity, worst = notice.severity.upper(), notice.found[0].entity
    return f"{state.get(notice.kind, '')}{severity} {worst}{_and_others(notice)}"


def _and_others(notice: Notice) -> str:
    others = max(len(notice.entities) + notice.others - 1, 0)
    also = f" and {others} other{'s' if others > 1 else ''}" if others else ""
    return f"{also}, {notice.members} anomalies" if notice.members > 1 else also


def headline(notice: Notice) -> str:
    """Return the title with what it is about: all that many people see of a message on their phone."""
    said = notice.lines[:1] if notice.kind in {"amended", "withdrawn"} else ()
    if not said and notice.kind in {"first", "news", "worse", "repeat", "escalated"}:
        said = notice.found[0].reasons[:1]
    return ": ".join([title(notice), *said])


def counted(notice: Notice) -> str:
    """Return how many there are, and whose, in one line."""
    who = ", ".join(f"{name} ({count})" for name, count in notice.entities)
    more = f" and {notice.others} more" if notice.others else ""
    if not who + more:
        return {"digest": "", "daily": ""}.get(notice.kind, "nothing is left in this group")
    about = {"digest": "held back, too", "daily": "open, too"}
    return f"{about.get(notice.kind, f'{notice.members} in this group')}: {who}{more}"


def command(notice: Notice) -> str:
    """Return the command by which somebody goes on."""
    if notice.kind in {"digest", "daily"}:
        return "txwatch alerts list"
    what = "show" if notice.kind in {"withdrawn", "resolved", "acknowledged"} else "ack"
    return f"txwatch alerts {what} {notice.group_id}"


def hiding_of(pseudonym: Pseudonym | None, *, raw_ids: bool) -> Hide:
    """Return what makes an anomaly such as a reader may see it; ValueError where that needs a key."""
    if raw_ids:
        return lambda anomaly: anomaly
    if pseudonym is None:
        raise ValueError("a route that is not cleared for raw ids needs pseudonyms")
    return lambda anomaly: pseudonymous(anomaly, pseudonym)


def hidden_label(key: str, value: str, hide: Hide) -> str:
    """Return the value of a group's label as a reader may see it."""
    if key == "entity":
        return hidden_name(value.replace(":", " ", 1), hide).replace(" ", ":", 1)
    return hidden_name(f"user {value}", hide).partition(" ")[2] if key == "user" and value else value


def hidden_name(entity: str, hide: Hide) -> str:
    """Return an entity (kind and id) as a reader may see it."""
    kind, _, raw = entity.partition(" ")
    if kind == "all":
        return EVERYTHING
    field = "ip" if kind == "ip" else f"{kind}_id"
    return f"{kind} {hide(_bare(kind, raw)).entity_id}" if field in PERSONAL else entity


def _bare(kind: str, raw: str) -> Anomaly:
    """Return an anomaly that has nothing but an entity, so that all names are hidden in one way."""
    return msgspec.structs.replace(_NOBODY, entity_kind=kind, entity_id=raw)


def found_of(anomaly: Anomaly, dashboards: str) -> Found:
    """Return an anomaly, hidden where it must be, as a message shows it."""
    amount = "" if anomaly.amount is None else f"{anomaly.amount:,.2f} {anomaly.currency or ''}".strip()
    sentences = [reason.sentence for reason in anomaly.reasons[:REASONS]]
    return Found(
        anomaly_id=anomaly.anomaly_id,
        severity=anomaly.severity.word,
        entity=EVERYTHING if anomaly.entity_kind == "all" else f"{anomaly.entity_kind} {anomaly.entity_id}",
        when=anomaly.timestamp.astimezone(UTC),
        amount=amount,
        reasons=tuple(sentences) or (anomaly.type.value,),
        link=link_to(anomaly, dashboards) if dashboards else "",
        transaction_id=anomaly.transaction_id,
    )


def link_to(anomaly: Anomaly, dashboards: str) -> str:
    """Return the address of the Grafana page about an anomaly, an hour before and after it in view."""
    at = int(anomaly.timestamp.timestamp() * 1000)
    span = f"from={at - ONE_HOUR}&to={at + ONE_HOUR}"
    return f"{dashboards.rstrip('/')}/d/txwatch-anomaly?var-anomaly={anomaly.anomaly_id}&{span}"


_NOBODY = msgspec.convert(
    {
        "anomaly_id": "",
        "kind": "",
        "type": "amount",
        "timestamp": datetime(1970, 1, 1, tzinfo=UTC),
        "detected_at": datetime(1970, 1, 1, tzinfo=UTC),
        "severity": 1,
        "score": 0.0,
        "reasons": [],
        "entity_kind": "",
        "entity_id": "",
    },
    Anomaly,
)
