"""The ledger's own version: which tables it has, and how an older ledger gets what it lacks."""

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.errors import StoreError
from txwatch.ledger.tables import layout, metadata

VERSION = 1
"""Raised when a table changes its columns; a table that is new is simply made."""


def prepare(connection: Connection) -> None:
    """Make the tables that are missing; raises StoreError for a ledger of a newer version."""
    layout.create(connection, checkfirst=True)
    found = connection.scalar(sql.select(layout.c.version))
    if found is not None and found > VERSION:
        raise StoreError(f"the ledger comes from a newer txwatch (layout {found}); upgrade this one")
    metadata.create_all(connection)
    if found is None:
        connection.execute(sql.insert(layout).values(version=VERSION))
