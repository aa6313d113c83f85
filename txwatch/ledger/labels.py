"""What people say of anomalies: append-only, the newest word about an anomaly counts."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.ledger.tables import labels
from txwatch.model import AnomalyLabel, LabelChange, Verdict


def append(connection: Connection, at: float, label: AnomalyLabel) -> None:
    """Append one label; an earlier one about the same anomaly stays, and counts no longer."""
    values = {"at": at, "anomaly_id": label.anomaly_id, "transaction_id": label.transaction_id}
    connection.execute(
        sql.insert(labels).values(values | {"verdict": label.verdict.value, "actor": label.by})
    )


def newest(connection: Connection, anomaly_id: str | None = None) -> Sequence[AnomalyLabel]:
    """Return the label in force of each anomaly, or of one, in the order in which they were given."""
    last = sql.select(sql.func.max(labels.c.number)).group_by(labels.c.anomaly_id)
    query = sql.select(labels).where(labels.c.number.in_(last)).order_by(labels.c.number)
    if anomaly_id is not None:
        query = query.where(labels.c.anomaly_id == anomaly_id)
    return [_label(row) for row in connection.execute(query).mappings()]


def changes(connection: Connection, after: int, limit: int) -> list[LabelChange]:
    """Return labels beyond a number in order, each with what was said of the same anomaly before."""
    earlier = labels.alias()
    number_before = (
        sql.select(sql.func.max(earlier.c.number))
        .where(earlier.c.anomaly_id == labels.c.anomaly_id, earlier.c.number < labels.c.number)
        .scalar_subquery()
    )
    before = labels.alias()
    query = (
        sql.select(labels, before.c.verdict.label("before"))
        .select_from(labels)
        .outerjoin(before, before.c.number == number_before)
        .where(labels.c.number > after)
        .order_by(labels.c.number)
        .limit(limit)
    )
    return [
        LabelChange(
            number=row["number"],
            label=_label(row),
            before=None if row["before"] is None else Verdict(row["before"]),
        )
        for row in connection.execute(query).mappings()
    ]


def _label(row: Mapping[Any, Any]) -> AnomalyLabel:
    return AnomalyLabel(
        anomaly_id=row["anomaly_id"],
        transaction_id=row["transaction_id"],
        verdict=Verdict(row["verdict"]),
        by=row["actor"],
        at=row["at"],
    )
