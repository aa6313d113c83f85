"""The part of the ledger that keeps what was looked at: a row for each window, all its detectors in it."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.coverage import Counted, Tally, added
from txwatch.ledger.tables import coverage as table

Opened = Callable[[], AbstractContextManager[Connection]]
Windows = dict[datetime, dict[str, Tally]]


def add(connection: Connection, counted: Counted) -> None:
    """Add counts to what is kept; within the transaction that commits what was counted, never twice."""
    if not counted:
        return
    starts = [int(start.timestamp()) for start in counted]
    known = _windows(connection.execute(sql.select(table).where(table.c.start.in_(starts))))
    revision = (connection.scalar(sql.select(sql.func.max(table.c.revision))) or 0) + 1
    total = added([known, counted])
    connection.execute(sql.delete(table).where(table.c.start.in_(starts)))
    connection.execute(sql.insert(table), [_row(start, total[start], revision) for start in counted])


class CoverageShelf:
    """Each method is one transaction."""

    def __init__(self, reading: Opened, writing: Opened) -> None:
        self._reading, self._writing = reading, writing

    def between(self, since: datetime, until: datetime) -> Windows:
        """Return the windows that start in [since, until)."""
        start = table.c.start
        wanted = sql.and_(start >= since.timestamp(), start < until.timestamp())
        with self._reading() as connection:
            return _windows(connection.execute(sql.select(table).where(wanted).order_by(start)))

    def newest(self) -> datetime | None:
        """Return the start of the newest window, None before the first."""
        with self._reading() as connection:
            found = connection.scalar(sql.select(sql.func.max(table.c.start)))
        return None if found is None else datetime.fromtimestamp(found, UTC)

    def changed(self, after: int, limit: int) -> tuple[int, Windows]:
        """Return windows that changed after a revision, oldest change first, and the newest revision of them.

        At least `limit` of them, if there are as many; what changed at once stays together.
        """
        with self._reading() as connection:
            beyond = sql.select(table.c.revision).where(table.c.revision > after).order_by(table.c.revision)
            revisions = connection.scalars(beyond.limit(limit)).all()
            if not revisions:
                return after, {}
            newest = int(revisions[-1])
            wanted = sql.and_(table.c.revision > after, table.c.revision <= newest)
            return newest, _windows(connection.execute(sql.select(table).where(wanted)))

    def forget(self, before: datetime) -> int:
        """Delete windows that started before then; returns how many."""
        with self._writing() as connection:
            done = connection.execute(sql.delete(table).where(table.c.start < before.timestamp()))
            return done.rowcount


def _row(start: datetime, window: dict[str, Tally], revision: int) -> dict[str, object]:
    return {
        "start": int(start.timestamp()),
        "revision": revision,
        "document": msgspec.msgpack.encode(window),
    }


def _windows(rows: Iterable[Any]) -> Windows:
    return {
        datetime.fromtimestamp(start, UTC): msgspec.msgpack.decode(document, type=dict[str, Tally])
        for start, _, document in rows
    }
