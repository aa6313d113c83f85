"""The ledger's own version: which tables it has, and how an older ledger gets what it lacks."""

from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn

from txwatch.errors import StoreError
from txwatch.ledger.tables import layout, metadata, notifications, snapshots

VERSION = 2
"""Raised when a table changes its columns; a table that is new is simply made."""
ADDED = (snapshots.c.act, notifications.c.urgent)
"""Columns that tables of earlier versions lack; each has a default."""


def prepare(connection: Connection) -> None:
    """Make the tables and columns that are missing; raises StoreError for a ledger of a newer version."""
    layout.create(connection, checkfirst=True)
    found = connection.scalar(sql.select(layout.c.version))
    if found is not None and found > VERSION:
        raise StoreError(f"the ledger comes from a newer txwatch (layout {found}); upgrade this one")
    metadata.create_all(connection)
    if found == VERSION:
        return
    for column in ADDED:
        _add_if_missing(connection, column)
    connection.execute(sql.delete(layout))
    connection.execute(sql.insert(layout).values(version=VERSION))


def _add_if_missing(connection: Connection, column: sql.Column[Any]) -> None:
    if column.name not in {each["name"] for each in sql.inspect(connection).get_columns(column.table.name)}:
        described = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {described}")
