"""The queue of discovered anomalies: in order of discovery, so that a late one is never missed."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.ledger.tables import discoveries, offsets
from txwatch.model import Anomaly, Severity


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """One entry: an anomaly when it was found, found to be more severe, or judged otherwise by late data."""

    number: int
    anomaly_id: str
    severity: int
    document: bytes


def enqueue(connection: Connection, anomalies: Sequence[Anomaly], at: float) -> None:
    """Queue anomalies that are not queued yet, or graded otherwise than they were."""
    known = _known(connection, [anomaly.anomaly_id for anomaly in anomalies])
    rows = []
    for anomaly in anomalies:
        if known.get(anomaly.anomaly_id, (-1, 0)) < anomaly.grading:
            known[anomaly.anomaly_id] = anomaly.grading
            rows.append(_row(anomaly, at))
    if rows:
        connection.execute(sql.insert(discoveries), rows)


def beyond(connection: Connection, after: int, limit: int) -> list[Discovery]:
    """Return entries after a number, in order."""
    columns = (discoveries.c.number, discoveries.c.anomaly_id, discoveries.c.severity, discoveries.c.document)
    query = sql.select(*columns).where(discoveries.c.number > after).order_by(discoveries.c.number)
    return [Discovery(**row) for row in connection.execute(query.limit(limit)).mappings()]


def newest(connection: Connection) -> int:
    """Return the number of the newest entry, 0 before the first."""
    return int(connection.scalar(sql.select(sql.func.max(discoveries.c.number))) or 0)


def offset(connection: Connection, name: str) -> int:
    """Return the number that a reader has handled last; 0 before its first."""
    found = connection.scalar(sql.select(offsets.c.number).where(offsets.c.name == name))
    return 0 if found is None else int(found)


def advance(connection: Connection, name: str, number: int) -> None:
    """Record that a reader has handled everything up to a number."""
    changed = connection.execute(sql.update(offsets).where(offsets.c.name == name).values(number=number))
    if changed.rowcount == 0:
        connection.execute(sql.insert(offsets).values(name=name, number=number))


def forget(connection: Connection, before: float) -> int:
    """Delete entries that were queued before then, except the newest, so that numbers go on growing."""
    newest = sql.select(sql.func.max(discoveries.c.number)).scalar_subquery()
    old = (discoveries.c.discovered_at < before) & (discoveries.c.number < newest)
    return connection.execute(sql.delete(discoveries).where(old)).rowcount


def _row(anomaly: Anomaly, at: float) -> dict[str, object]:
    return {
        "anomaly_id": anomaly.anomaly_id,
        "severity": int(anomaly.severity),
        "discovered_at": at,
        "document": msgspec.json.encode(anomaly),
    }


class _Graded(msgspec.Struct, frozen=True, kw_only=True):
    """Of a queued anomaly what tells which grading it is."""

    severity: Severity
    revision: int = 0


def _known(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the highest grading that is queued of each of these; few are there, as few are found again."""
    found: dict[str, tuple[int, int]] = {}
    columns = (discoveries.c.anomaly_id, discoveries.c.document)
    for start in range(0, len(ids), 500):
        query = sql.select(*columns).where(discoveries.c.anomaly_id.in_(ids[start : start + 500]))
        for name, document in connection.execute(query):
            graded = msgspec.json.decode(document, type=_Graded)
            found[name] = max(found.get(name, (-1, 0)), (graded.revision, int(graded.severity)))
    return found
