"""The tables of the file, and how a file made by an earlier version becomes one of this version.

A file carries its layout's number in `user_version` and the product's mark in `application_id`.  A file
that is not ours is left as it is.
"""

import sqlite3
from pathlib import Path

from txwatch.errors import StoreError
from txwatch.stores.sqlite import anomalies, quarantine, series, traffic, transactions
from txwatch.stores.sqlite.migrations import MIGRATIONS

TABLES = (
    *transactions.TABLES,
    *anomalies.TABLES,
    *series.TABLES,
    *traffic.TABLES,
    *quarantine.TABLES,
)
VERSION = len(MIGRATIONS) + 1

_APPLICATION = int.from_bytes(b"txwa")


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a new or an older file to this layout, whole or not at all; raises StoreError for others."""
    if _number(connection, "user_version") == 0 and _is_empty(connection):
        # Readers and writers do not wait for one another; the file remembers it.
        connection.execute("PRAGMA journal_mode=WAL")
    if not _is_ready(connection):
        connection.execute("BEGIN IMMEDIATE")
        try:
            _migrate(connection, path)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Runs in one write transaction: two processes that open a new file make its tables once."""
    if _is_ready(connection):
        return
    found = _number(connection, "user_version")
    if found > VERSION:
        raise StoreError(f"{path} comes from a newer txwatch (layout {found}); upgrade this one")
    if found == 0:
        _create(connection, path)
    for migration in MIGRATIONS[found - 1 :] if found else ():
        migration(connection)
    connection.execute(f"PRAGMA application_id={_APPLICATION}")
    connection.execute(f"PRAGMA user_version={VERSION}")


def _create(connection: sqlite3.Connection, path: Path) -> None:
    if not _is_empty(connection):
        raise StoreError(f"{path} is not a txwatch store; it was left as it is")
    for statement in TABLES:
        connection.execute(statement)


def _is_ready(connection: sqlite3.Connection) -> bool:
    marks = _number(connection, "user_version"), _number(connection, "application_id")
    return marks == (VERSION, _APPLICATION)


def _is_empty(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
