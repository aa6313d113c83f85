"""Acknowledging a group: somebody looks at it, so nobody is reminded of it."""

import msgspec

from alerts.groups import Group
from txwatch.errors import StoreBusyError, UsageError
from txwatch.ledger import AlertBook, Audited, Step, StoredDecision, StoredGroup

TRIES = 20
"""A notifier in a storm changes groups all the time; each try waits for its turn at the ledger."""


def acknowledge(book: AlertBook, group_id: str, actor: str, now: float) -> None:
    """Write who looks at a group, with its record in the audit, in one transaction.

    Raises:
        UsageError: There is no such group, or it is over.
        StoreBusyError: Others changed groups at every try.
    """
    for _ in range(TRIES - 1):
        try:
            return _acknowledge(book, group_id, actor, now)
        except StoreBusyError:
            continue
    return _acknowledge(book, group_id, actor, now)


def _acknowledge(book: AlertBook, group_id: str, actor: str, now: float) -> None:
    epoch = book.epoch()
    document = book.group(group_id)
    if document is None:
        raise UsageError(f"there is no group {group_id}; `txwatch alerts list --closed` lists all")
    group = msgspec.json.decode(document, type=Group)
    if not group.open:
        raise UsageError(f"group {group_id} is over already")
    changed = msgspec.structs.replace(group, acknowledged_by=actor)
    stored = StoredGroup(group_id=group_id, open=True, document=msgspec.json.encode(changed))
    decision = StoredDecision(
        at=now, anomaly_id=None, group_id=group_id, verdict="acknowledged", reason=f"by {actor}"
    )
    audited = Audited(at=now, actor=actor, action="acknowledge", facts={"group_id": group_id})
    book.commit("", epoch, Step(groups=[stored], decisions=[decision], audited=[audited]))
