"""Positions of the collector and cursors of the feed's consumers."""

import json
from collections.abc import Mapping, Sequence

import sqlalchemy as sql
from sqlalchemy import Table
from sqlalchemy.engine import Connection

from txwatch.ledger.tables import cursors, positions
from txwatch.model import Cursor, Partition


def read_positions(connection: Connection, source: str) -> dict[Partition, int]:
    """Return the next sequence of each partition of a source."""
    query = sql.select(positions.c.partition, positions.c.next).where(positions.c.source == source)
    return {Partition(source, partition): following for partition, following in connection.execute(query)}


def write_positions(connection: Connection, moved: Mapping[Partition, int]) -> None:
    """Record the next sequence of each partition."""
    _write(connection, positions, [{**place._asdict(), "next": next_} for place, next_ in moved.items()])


def read_cursors(connection: Connection, consumer: str) -> dict[Partition, Cursor]:
    """Return how far a consumer has committed."""
    columns = (cursors.c.source, cursors.c.partition, cursors.c.arrival, cursors.c.sequence)
    rows = connection.execute(sql.select(*columns).where(cursors.c.consumer == consumer))
    return {
        Partition(source, number): Cursor(arrival, sequence) for source, number, arrival, sequence in rows
    }


def write_cursors(connection: Connection, consumer: str, moved: Mapping[Partition, Cursor]) -> None:
    """Record how far a consumer has committed; the ones that stand still are not written again."""
    known = read_cursors(connection, consumer)
    changed = [(place, cursor) for place, cursor in moved.items() if known.get(place) != cursor]
    rows = [{"consumer": consumer, **place._asdict(), **cursor._asdict()} for place, cursor in changed]
    _write(connection, cursors, rows)


def as_text(cursors: Mapping[Partition, Cursor]) -> str:
    """Return cursors as they stand in one column."""
    return json.dumps([[*partition, *cursor] for partition, cursor in cursors.items()])


def from_text(written: str) -> dict[Partition, Cursor]:
    """Return the cursors of `as_text`."""
    return {Partition(s, p): Cursor(a, n) for s, p, a, n in json.loads(written)}


def _write(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Replace rows by their key, in two statements however many there are, on every database."""
    if rows:
        keys = [column.name for column in table.primary_key]
        here = sql.and_(*(table.c[name] == sql.bindparam(f"key_{name}") for name in keys))
        connection.execute(
            sql.delete(table).where(here), [{f"key_{n}": row[n] for n in keys} for row in rows]
        )
        connection.execute(sql.insert(table), rows)
