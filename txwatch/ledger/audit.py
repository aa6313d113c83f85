"""The audit: who did what, append-only, each record's hash covering the one before it.

A record that was changed, taken out or put in breaks the chain.  What the chain cannot show is that its
newest records were cut off: for that, the last hash has to be kept somewhere else.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.ledger.tables import audit
from txwatch.ports import AuditRecord

FIRST = "0" * 64


def append(connection: Connection, at: float, actor: str, action: str, facts: Mapping[str, Any]) -> None:
    """Append one record to the chain."""
    newest = sql.select(audit.c.hash).order_by(audit.c.number.desc()).limit(1)
    before = connection.scalar(newest) or FIRST
    text = json.dumps(dict(facts), sort_keys=True)
    values = {"at": at, "actor": actor, "action": action, "facts": text}
    connection.execute(sql.insert(audit).values(values | {"hash": _hash(before, at, actor, action, text)}))


def beyond(connection: Connection, after: int, limit: int) -> list[AuditRecord]:
    """Return records after a number, in order."""
    query = sql.select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(limit)
    return [AuditRecord(**row) for row in connection.execute(query).mappings()]


def first_broken(connection: Connection) -> int | None:
    """Return the number of the first record whose hash does not fit, None when the chain is whole."""
    before = FIRST
    for row in connection.execute(sql.select(audit).order_by(audit.c.number)).mappings():
        if row["hash"] != _hash(before, row["at"], row["actor"], row["action"], row["facts"]):
            return int(row["number"])
        before = row["hash"]
    return None


def _hash(before: str, at: float, actor: str, action: str, facts: str) -> str:
    return hashlib.sha256(json.dumps([before, at, actor, action, facts]).encode()).hexdigest()
