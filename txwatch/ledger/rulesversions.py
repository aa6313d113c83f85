"""The versions of `rules.yaml` that came into force, in order: append-only; and those that stay out."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.ledger.tables import rules_blocked, rules_files, rules_plans
from txwatch.ledger.tables import rules_versions as table
from txwatch.model import RulesVersion

NEWEST = sql.select(table).order_by(table.c.number.desc())


def append(connection: Connection, at: float, given: RulesVersion) -> RulesVersion:
    """Append a version that is now in force; return it with its number."""
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


def newest_number(connection: Connection) -> tuple[int, str]:
    """Return number and version of the newest, (0, "") before the first."""
    query = sql.select(table.c.number, table.c.version).order_by(table.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    return (0, "") if row is None else (int(row[0]), str(row[1]))


def find(connection: Connection, version: str) -> RulesVersion | None:
    """Return what a version was made of, as it was the last time."""
    row = connection.execute(NEWEST.where(table.c.version == version).limit(1)).mappings().first()
    return None if row is None else _version(row)


def numbered(connection: Connection, number: int) -> RulesVersion | None:
    """Return the version of a number."""
    row = connection.execute(NEWEST.where(table.c.number == number)).mappings().first()
    return None if row is None else _version(row)


def newest(connection: Connection, limit: int) -> list[RulesVersion]:
    """Return the last versions, the newest first."""
    return [_version(row) for row in connection.execute(NEWEST.limit(limit)).mappings()]


def block(connection: Connection, at: float, version: str, reason: str) -> None:
    """Keep a version out from now on."""
    unblock(connection, version)
    connection.execute(sql.insert(rules_blocked).values(version=version, at=at, reason=reason))


def unblock(connection: Connection, version: str) -> bool:
    """Let a version in again; tell whether it was kept out."""
    done = connection.execute(sql.delete(rules_blocked).where(rules_blocked.c.version == version))
    return done.rowcount > 0


def blocked(connection: Connection) -> dict[str, str]:
    """Return the versions that stay out, and why."""
    rows = connection.execute(sql.select(rules_blocked.c.version, rules_blocked.c.reason))
    return {version: reason for version, reason in rows}  # noqa: C416 - typed pairs instead of rows


def expect(connection: Connection, version: str, shares: Mapping[str, float]) -> None:
    """Keep what a plan says of a version; the newest plan counts."""
    connection.execute(sql.delete(rules_plans).where(rules_plans.c.version == version))
    shown = json.dumps(dict(shares), sort_keys=True)
    connection.execute(sql.insert(rules_plans).values(version=version, shares=shown))


def expected(connection: Connection, version: str) -> dict[str, float]:
    """Return what a plan said of a version, nothing where there was none."""
    shown = connection.scalar(sql.select(rules_plans.c.shares).where(rules_plans.c.version == version))
    return json.loads(shown) if shown else {}


def consider(connection: Connection, path: str, digest: str) -> None:
    """Keep what stood in a file when it was considered."""
    connection.execute(sql.delete(rules_files).where(rules_files.c.path == path))
    connection.execute(sql.insert(rules_files).values(path=path, digest=digest))


def considered(connection: Connection, path: str) -> str:
    """Return what stood in a file when it was last considered, empty before the first time."""
    return connection.scalar(sql.select(rules_files.c.digest).where(rules_files.c.path == path)) or ""


def _version(row: Mapping[Any, Any]) -> RulesVersion:
    values = dict(row)
    beside = msgspec.msgpack.decode(values.pop("beside"), type=dict[str, bytes])
    return RulesVersion(**values, beside=beside)
