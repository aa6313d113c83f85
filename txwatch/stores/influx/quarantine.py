"""Rejected messages in InfluxDB, for installations without a dead-letter topic.

Guarantee: one record per (source, partition, sequence); one already there stays as it is, provided that one
process ingests a partition.  The message lies in the field `raw` as base64.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from txwatch.model import Partition, Quarantined, Rejected
from txwatch.stores.influx.conditions import equal, where
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import QUARANTINE
from txwatch.stores.influx.points import EPOCH, FieldValue, lap, nanoseconds, point, point_time
from txwatch.stores.influx.text import decode_tag, encode_tag

MEASUREMENT = "quarantine"
_FIELDS = ("sequence", "received_at", "code", "sentence", "field", "raw", "length", "sha256")
_TAGS = ("source", "partition")


def put_quarantined(connection: Connection, records: Sequence[Quarantined]) -> None:
    """Write the records that are not there yet."""
    ordered = sorted(records, key=_position)
    new: dict[tuple[Partition, int], Quarantined] = {}
    for partition, group in groupby(ordered, key=lambda record: _position(record)[0]):
        own = {_position(record): record for record in reversed(list(group))}
        present = _present(connection, partition, [sequence for _, sequence in own])
        new |= {key: record for key, record in own.items() if key[1] not in present}
    if new:
        connection.write(QUARANTINE, "\n".join(map(quarantine_line, new.values())).encode())


def drop_quarantined(connection: Connection, records: Sequence[Quarantined]) -> None:
    """Delete records; InfluxDB deletes by tags and time, and a record's point has a time of its own."""
    for record in records:
        tags = {"source": encode_tag(record.source), "partition": str(record.partition)}
        time = point_time(record.received_at, record.sequence)
        connection.delete_point(QUARANTINE, MEASUREMENT, tags | {"lap": lap(record.sequence)}, time)


def read_quarantined(connection: Connection, code: str | None, limit: int | None) -> list[Quarantined]:
    """Return records, newest first."""
    columns = ", ".join(f'"{name}"' for name in (*_FIELDS, *_TAGS))
    newest = "" if limit is None else f" LIMIT {limit}"
    select = f"SELECT {columns} FROM {MEASUREMENT}{where(equal('code', code))}"  # noqa: S608 - InfluxQL; the code is a quoted literal
    (result,) = connection.results(QUARANTINE, f"{select} ORDER BY time DESC{newest}")
    rows = [
        dict(zip(series["columns"], row, strict=True))
        for series in result.get("series", ())
        for row in series["values"]
    ]
    return [_record(row) for row in rows]


def quarantine_line(record: Quarantined) -> str:
    """Return a record as a line."""
    rejected = record.rejected
    tags = {"source": record.source, "partition": str(record.partition), "lap": lap(record.sequence)}
    fields: dict[str, FieldValue] = {
        "sequence": record.sequence,
        "received_at": nanoseconds(record.received_at),
        "code": rejected.code,
        "sentence": rejected.sentence,
        "field": rejected.field,
        "raw": base64.b64encode(rejected.raw).decode(),
        "length": rejected.length,
        "sha256": rejected.sha256,
    }
    return point(MEASUREMENT, tags, fields, point_time(record.received_at, record.sequence))


def _position(record: Quarantined) -> tuple[Partition, int]:
    return Partition(record.source, record.partition), record.sequence


def _present(connection: Connection, partition: Partition, sequences: Sequence[int]) -> set[int]:
    """Return which sequences of a partition are there already."""
    conditions = [
        *equal("source", encode_tag(partition.source)),
        *equal("partition", str(partition.partition)),
        f"sequence >= {min(sequences)}",
        f"sequence <= {max(sequences)}",
    ]
    select = f"SELECT sequence FROM {MEASUREMENT}{where(conditions)}"  # noqa: S608 - InfluxQL; values are quoted literals
    (result,) = connection.results(QUARANTINE, select)
    return {row[1] for series in result.get("series", ()) for row in series["values"]}


def _record(row: dict[str, Any]) -> Quarantined:
    rejected = Rejected(
        code=row["code"],
        sentence=row["sentence"],
        field=row["field"],
        raw=base64.b64decode(row["raw"]),
        length=row["length"],
        sha256=row["sha256"],
    )
    return Quarantined(
        source=decode_tag(row["source"]),
        partition=int(row["partition"]),
        sequence=row["sequence"],
        received_at=_time(row["received_at"]),
        rejected=rejected,
    )


def _time(nanosecond: int) -> datetime:
    return (EPOCH + timedelta(microseconds=nanosecond // 1000)).astimezone(UTC)
