"""Acts: what changes a consumer's state beside what it reads, written down before it takes effect.

A state is the rows up to its cursors and the acts up to a number.  Of two acts at the same cursors the one
of the smaller number came first.  An act stays until every kept snapshot has it in it.
"""

from collections.abc import Mapping

import msgspec
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.ledger.progress import as_text, from_text
from txwatch.ledger.tables import acts, snapshots
from txwatch.model import Cursor, Partition


class RecordedAct(msgspec.Struct, frozen=True, kw_only=True):
    """One act; only its consumer understands the document."""

    number: int
    cursors: dict[Partition, Cursor]
    document: bytes


def append(
    connection: Connection, at: float, consumer: str, cursors: Mapping[Partition, Cursor], document: bytes
) -> int:
    """Append what a consumer does at these cursors; return its number."""
    values = {"consumer": consumer, "at": at, "cursors": as_text(cursors), "document": document}
    done = connection.execute(sql.insert(acts).values(values))
    (number,) = done.inserted_primary_key or (0,)
    return int(number)


def beyond(connection: Connection, consumer: str, number: int) -> list[RecordedAct]:
    """Return a consumer's acts beyond a number, in order."""
    mine = sql.select(acts).where(acts.c.consumer == consumer, acts.c.number > number)
    return [
        RecordedAct(number=row["number"], cursors=from_text(row["cursors"]), document=bytes(row["document"]))
        for row in connection.execute(mine.order_by(acts.c.number)).mappings()
    ]


def forget(connection: Connection, consumer: str) -> None:
    """Delete the acts that are in every kept snapshot of a consumer."""
    oldest = sql.select(sql.func.min(snapshots.c.act)).where(snapshots.c.consumer == consumer)
    connection.execute(
        sql.delete(acts).where(acts.c.consumer == consumer, acts.c.number <= oldest.scalar_subquery())
    )
