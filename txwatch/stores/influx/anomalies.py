"""Anomalies in InfluxDB: as they are in the bucket `cases`, with pseudonyms in the bucket `anomalies`.

Guarantee: an anomaly is one point, so writing it again is a regrade.  Its tags (source, partition, lap,
kind, mode) and its time (the transaction's point time; for a series its window and registered number)
never change; all fields are written each time.  `record` is the whole anomaly; the other fields are for
queries, and `summary` is those that dashboards need in one text (`txwatch/summary.py`); its reasons are
points of their own (`surroundings`).  `written` (nanoseconds) is when that was: tasks that count look for it.
Reads come from `cases`.
What is withdrawn has the severity `withdrawn` and level 0, so that dashboards pass it over.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
import polars as pl

from txwatch.masking import PERSONAL, Pseudonym, pseudonymous
from txwatch.model import Anomaly
from txwatch.ports import AnomalyQuery
from txwatch.stores.influx.conditions import between, equal, holds, other_than, where
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import ANOMALIES, CASES, NOTHING
from txwatch.stores.influx.points import FieldValue, lap, nanoseconds, point, point_time
from txwatch.stores.influx.surroundings import context_lines, reason_lines
from txwatch.summary import ANOMALY, summary

MEASUREMENT = "anomalies"
LONGEST_RECORD = 1_000_000
_RECORD = {"name": pl.String(), "tags": pl.String(), "time": pl.Int64(), "record": pl.String()}


def put_anomalies(
    connection: Connection, anomalies: Sequence[Anomaly], pseudonym: Pseudonym | None, now: datetime
) -> None:
    """Write anomalies; operators' copies only if there is a way to make pseudonyms."""
    if not anomalies:
        return
    connection.write(CASES, _lines(anomalies, now))
    if pseudonym:
        connection.write(ANOMALIES, _lines([pseudonymous(each, pseudonym) for each in anomalies], now))


def put_context(
    connection: Connection, anomaly: Anomaly, rows: pl.DataFrame, pseudonym: Pseudonym | None
) -> None:
    """Write the transactions (columns FEED) around an anomaly."""
    if rows.is_empty():
        return
    connection.write(CASES, "\n".join(context_lines(anomaly, rows)).encode())
    if pseudonym:
        connection.write(ANOMALIES, "\n".join(context_lines(anomaly, _masked(rows, pseudonym))).encode())


def read_anomalies(connection: Connection, query: AnomalyQuery) -> list[Anomaly]:
    """Return the matching anomalies, newest event time first."""
    newest = "" if query.limit is None else f" LIMIT {query.limit}"
    select = f"SELECT record FROM {MEASUREMENT}{_where(query)}"  # noqa: S608 - InfluxQL; values are quoted literals
    answer = connection.checked_rows(CASES, f"{select} ORDER BY time DESC{newest}")
    if not answer:
        return []
    records = pl.read_csv(answer, schema=_RECORD)["record"]
    return [msgspec.json.decode(record, type=Anomaly) for record in records]


def anomaly_line(anomaly: Anomaly, now: datetime) -> str:
    """Return the anomaly as a line, written now."""
    tags = {
        "source": anomaly.source,
        "partition": str(anomaly.partition),
        "lap": lap(anomaly.sequence),
        "kind": anomaly.kind,
        "mode": anomaly.mode.value,
    }
    present = {name: value for name, value in tags.items() if value}
    fields = _fields(anomaly)
    fields |= {"summary": summary(fields, ANOMALY), "written": nanoseconds(now)}
    return point(MEASUREMENT, present, fields, point_time(anomaly.timestamp, anomaly.sequence))


def _lines(anomalies: Sequence[Anomaly], now: datetime) -> bytes:
    """Return anomalies and their reasons."""
    reasons = (line for each in anomalies for line in reason_lines(each))
    return "\n".join([*(anomaly_line(each, now) for each in anomalies), *reasons]).encode()


def _masked(rows: pl.DataFrame, pseudonym: Pseudonym) -> pl.DataFrame:
    """Return rows with pseudonyms in place of personal ids."""
    hidden = {kind: [raw and pseudonym(kind, raw) for raw in rows[kind].to_list()] for kind in PERSONAL}
    return rows.with_columns(pl.Series(kind, names, dtype=pl.String) for kind, names in hidden.items())


def _fields(anomaly: Anomaly) -> dict[str, FieldValue]:
    return {
        "anomaly_id": anomaly.anomaly_id,
        "severity": anomaly.standing,
        "level": anomaly.level,
        "score": anomaly.score,
        "type": anomaly.type.value,
        "types": _words(sorted({anomaly.type.value, *(reason.type.value for reason in anomaly.reasons)})),
        "rules": _words(anomaly.rules),
        "entity_kind": anomaly.entity_kind,
        "entity_id": anomaly.entity_id,
        "transaction_id": anomaly.transaction_id or NOTHING,
        "user_id": anomaly.user_id or NOTHING,
        "merchant_id": anomaly.merchant_id or NOTHING,
        "amount": anomaly.amount,
        "currency": anomaly.currency or NOTHING,
        "status": anomaly.status.value if anomaly.status else NOTHING,
        "channel": anomaly.channel or NOTHING,
        "country": anomaly.country or NOTHING,
        "series": anomaly.series or NOTHING,
        "reason": anomaly.reasons[0].sentence if anomaly.reasons else NOTHING,
        "late": anomaly.late,
        "detected_at": point_time(anomaly.detected_at, 0),
        "record": _record(anomaly),
    }


def _words(words: Iterable[str]) -> str:
    """Return words so that each stands between two spaces."""
    return f" {'  '.join(words)} "


def _record(anomaly: Anomaly) -> str:
    """Return the anomaly as JSON, with its weakest reasons left out if it would not fit into a field."""
    record = msgspec.json.encode(anomaly)
    while len(record) > LONGEST_RECORD and anomaly.reasons:
        anomaly = msgspec.structs.replace(anomaly, reasons=anomaly.reasons[: len(anomaly.reasons) // 2])
        record = msgspec.json.encode(anomaly)
    return record.decode()


def _where(query: AnomalyQuery) -> str:
    return where(
        [
            *between(query.since, query.until),
            f"level >= {query.least_level}",
            *equal("anomaly_id", query.anomaly_id),
            *equal("user_id", query.user_id),
            *equal("merchant_id", query.merchant_id),
            *equal("transaction_id", query.transaction_id),
            *equal("series", query.series),
            *equal("mode", query.mode.value if query.mode else None),
            *other_than("mode", query.without_mode.value if query.without_mode else None),
            *holds("types", query.type),
            *holds("rules", query.rule),
        ]
    )
