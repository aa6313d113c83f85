"""The versions of `rules.yaml` that were in force, in order: append-only."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.ledger.tables import rules_versions as table
from txwatch.model import RulesVersion

NEWEST = sql.select(table).order_by(table.c.number.desc())


def append(connection: Connection, at: float, given: RulesVersion) -> RulesVersion:
    """Append a version that is now in force, unless it is the newest already; return it with its number."""
    row = connection.execute(NEWEST.limit(1)).mappings().first()
    if row is not None and row["version"] == given.version:
        return _version(row)
    values = {
        "at": at,
        "version": given.version,
        "actor": given.actor,
        "reason": given.reason,
        "content": given.content,
        "beside": msgspec.msgpack.encode(given.beside),
    }
    done = connection.execute(sql.insert(table).values(values))
    (number,) = done.inserted_primary_key or (0,)
    return msgspec.structs.replace(given, number=number, at=at)


def find(connection: Connection, version: str) -> RulesVersion | None:
    """Return what a version was made of, as it was the last time."""
    row = connection.execute(NEWEST.where(table.c.version == version).limit(1)).mappings().first()
    return None if row is None else _version(row)


def newest(connection: Connection, limit: int) -> list[RulesVersion]:
    """Return the last versions, the newest first."""
    return [_version(row) for row in connection.execute(NEWEST.limit(limit)).mappings()]


def _version(row: Mapping[Any, Any]) -> RulesVersion:
    values = dict(row)
    beside = msgspec.msgpack.decode(values.pop("beside"), type=dict[str, bytes])
    return RulesVersion(**values, beside=beside)
