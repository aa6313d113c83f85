"""Positions of the collector and cursors of the feed's consumers."""

from collections.abc import Mapping

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.ledger.tables import cursors, positions
from txwatch.model import Cursor, Partition


def read_positions(connection: Connection, source: str) -> dict[Partition, int]:
    """Return the next sequence of each partition of a source."""
    query = sql.select(positions.c.partition, positions.c.next).where(positions.c.source == source)
    return {Partition(source, partition): following for partition, following in connection.execute(query)}


def write_positions(connection: Connection, moved: Mapping[Partition, int]) -> None:
    """Record the next sequence of each partition."""
    for partition, following in moved.items():
        here = (positions.c.source == partition.source) & (positions.c.partition == partition.partition)
        changed = connection.execute(sql.update(positions).where(here).values(next=following))
        if changed.rowcount == 0:
            values = {"source": partition.source, "partition": partition.partition, "next": following}
            connection.execute(sql.insert(positions).values(values))


def read_cursors(connection: Connection, consumer: str) -> dict[Partition, Cursor]:
    """Return how far a consumer has committed."""
    columns = (cursors.c.source, cursors.c.partition, cursors.c.arrival, cursors.c.sequence)
    rows = connection.execute(sql.select(*columns).where(cursors.c.consumer == consumer))
    return {
        Partition(source, number): Cursor(arrival, sequence) for source, number, arrival, sequence in rows
    }


def write_cursors(connection: Connection, consumer: str, moved: Mapping[Partition, Cursor]) -> None:
    """Record how far a consumer has committed."""
    for partition, cursor in moved.items():
        here = (
            (cursors.c.consumer == consumer)
            & (cursors.c.source == partition.source)
            & (cursors.c.partition == partition.partition)
        )
        values = {"arrival": cursor.arrival, "sequence": cursor.sequence}
        changed = connection.execute(sql.update(cursors).where(here).values(values))
        if changed.rowcount == 0:
            key = {"consumer": consumer, "source": partition.source, "partition": partition.partition}
            connection.execute(sql.insert(cursors).values(key | values))
