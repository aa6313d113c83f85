"""What the ledger keeps for alerts, as values; documents are bytes that the alerts room reads and writes."""

from collections.abc import Mapping, Sequence

import msgspec


class StoredGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group as bytes; `open` while it may still change."""

    group_id: str
    open: bool
    document: bytes


class StoredRoute(msgspec.Struct, frozen=True, kw_only=True):
    """What a route remembers, as bytes."""

    route: str
    document: bytes


class StoredDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided at a time (seconds since 1970) about an anomaly or a group."""

    at: float
    anomaly_id: str | None
    group_id: str | None
    verdict: str
    reason: str


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """One notification for one channel; `key` is the same however often it is tried."""

    key: str
    group_id: str
    channel: str
    document: bytes
    due_at: float
    state: str = "waiting"
    attempts: int = 0
    unanswered: int = 0
    """How often nobody knows whether it arrived."""
    written_at: float = 0.0
    sent_at: float | None = None
    reference: str = ""
    """What the channel calls the message, so that it can be changed later."""
    answer: str = ""
    urgent: int = 0
    """1: it goes before all that is not, whenever that was written."""
    number: int = 0


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into the audit together with a step."""

    at: float
    actor: str
    action: str
    facts: Mapping[str, str]


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the outbox for one channel."""

    waiting: int = 0
    sent: int = 0
    dead: int = 0
    dead_lately: int = 0
    """Of those, how many died since the time asked for."""
    oldest: float | None = None
    """When the oldest that still waits was written."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """All that one decision changes; `position` is how far the queue is handled with it."""

    groups: Sequence[StoredGroup] = ()
    decisions: Sequence[StoredDecision] = ()
    outgoing: Sequence[Outgoing] = ()
    routes: Sequence[StoredRoute] = ()
    audited: Sequence[Audited] = ()
    position: int | None = None
