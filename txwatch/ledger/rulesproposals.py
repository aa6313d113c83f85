"""Versions of `rules.yaml` that wait for a second person."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.errors import DeniedError, UsageError
from txwatch.ledger.tables import rules_proposals as table
from txwatch.model import RulesProposal, RulesVersion

Decision = Literal["approved", "rejected"]


def append(connection: Connection, at: float, given: RulesVersion, base: int) -> RulesProposal:
    """Keep a proposal to change what is in force under the number `base`."""
    values = {
        "at": at,
        "version": given.version,
        "actor": given.actor,
        "reason": given.reason,
        "content": given.content,
        "beside": msgspec.msgpack.encode(given.beside),
        "base": base,
        "decision": "",
        "decided_by": "",
    }
    (number,) = connection.execute(sql.insert(table).values(values)).inserted_primary_key or (0,)
    return RulesProposal(number=number, at=at, wanted=given, base=base)


def newest(connection: Connection) -> list[RulesProposal]:
    """Return all proposals, the newest first."""
    return [_proposal(row) for row in connection.execute(_all()).mappings()]


def decidable(connection: Connection, number: int, actor: str, head: int, *, approved: bool) -> RulesProposal:
    """Return a proposal that this account may decide; what is `approved` still has to fit the `head`."""
    row = connection.execute(_all().where(table.c.number == number)).mappings().first()
    if row is None:
        raise UsageError(f"there is no proposal {number}; `txwatch rules proposals` lists them")
    found = _proposal(row)
    if found.decision:
        raise UsageError(f"proposal {number} was {found.decision} by {found.decided_by}")
    if approved and actor == found.wanted.actor:
        raise DeniedError(f"{actor} proposed this; somebody else has to approve it")
    if approved and found.base != head:
        raise UsageError(
            f"proposal {number} changes number {found.base}, and number {head} is in force by now: "
            "apply the file again, for a new proposal"
        )
    return found


def decide(connection: Connection, number: int, decision: Decision, actor: str) -> None:
    """Record what was decided, and by whom."""
    changed = {"decision": decision, "decided_by": actor}
    connection.execute(sql.update(table).where(table.c.number == number).values(changed))


def _all() -> sql.Select[Any]:
    return sql.select(table).order_by(table.c.number.desc())


def _proposal(row: Mapping[Any, Any]) -> RulesProposal:
    beside = msgspec.msgpack.decode(row["beside"], type=dict[str, bytes])
    named = {name: row[name] for name in ("version", "actor", "reason", "content")}
    kept = {name: row[name] for name in ("number", "at", "base", "decision", "decided_by")}
    return RulesProposal(wanted=RulesVersion(**named, beside=beside), **kept)
