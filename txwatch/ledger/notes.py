"""Who looks into an anomaly, and what was written about it: append-only, the newest assignment counts."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.ledger.tables import anomaly_notes as table
from txwatch.model import AnomalyNote


def append(connection: Connection, at: float, given: AnomalyNote) -> None:
    """Append one note."""
    values = {"at": at, "anomaly_id": given.anomaly_id, "kind": given.kind, "text": given.text}
    connection.execute(sql.insert(table).values(values | {"actor": given.by}))


def about(connection: Connection, anomaly_id: str) -> list[AnomalyNote]:
    """Return what was said of an anomaly, in order."""
    query = sql.select(table).where(table.c.anomaly_id == anomaly_id).order_by(table.c.number)
    return [_note(row) for row in connection.execute(query).mappings()]


def assigned(connection: Connection) -> dict[str, str]:
    """Return who looks into which anomaly, by anomaly; those given back to nobody are left out."""
    last = (
        sql.select(sql.func.max(table.c.number))
        .where(table.c.kind == "assigned")
        .group_by(table.c.anomaly_id)
    )
    query = sql.select(table.c.anomaly_id, table.c.text).where(table.c.number.in_(last))
    return {anomaly: person for anomaly, person in connection.execute(query) if person}


def _note(row: Mapping[Any, Any]) -> AnomalyNote:
    return AnomalyNote(
        anomaly_id=row["anomaly_id"], kind=row["kind"], text=row["text"], by=row["actor"], at=row["at"]
    )
