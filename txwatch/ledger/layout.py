"""The ledger's own version: which tables it has, and how an older ledger gets what it lacks."""

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.errors import StoreError
from txwatch.ledger.tables import layout, metadata

VERSION = 2
"""Raised when a table changes its columns; a table that is new is simply made."""

ADDED = {2: ("snapshots", "act", "BIGINT DEFAULT 0 NOT NULL")}
"""By version: the column that a table got, for ledgers of before."""


def prepare(connection: Connection) -> None:
    """Make what is missing, tables and columns; raises StoreError for a ledger of a newer version."""
    layout.create(connection, checkfirst=True)
    found = connection.scalar(sql.select(layout.c.version))
    if found is not None and found > VERSION:
        raise StoreError(f"the ledger comes from a newer txwatch (layout {found}); upgrade this one")
    if found == VERSION:
        metadata.create_all(connection)
        return
    for table, column, kind in ADDED.values():
        _add(connection, table, column, kind)
    metadata.create_all(connection)
    connection.execute(sql.delete(layout))
    connection.execute(sql.insert(layout).values(version=VERSION))


def _add(connection: Connection, table: str, column: str, kind: str) -> None:
    """Add a column to a table that is there and lacks it."""
    inspector = sql.inspect(connection)
    if inspector.has_table(table) and column not in {each["name"] for each in inspector.get_columns(table)}:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
