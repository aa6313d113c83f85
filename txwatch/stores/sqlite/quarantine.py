"""The quarantine in SQLite: one row a (source, partition, sequence), the first one stays."""

from collections.abc import Sequence

import msgspec

from txwatch.model import Quarantined
from txwatch.stores.sqlite.conditions import Conditions, milliseconds
from txwatch.stores.sqlite.file import StoreFile

TABLES = (
    (
        "CREATE TABLE quarantine (source TEXT NOT NULL, partition INTEGER NOT NULL, "
        "sequence INTEGER NOT NULL, received_at INTEGER NOT NULL, code TEXT NOT NULL, "
        "document BLOB NOT NULL, PRIMARY KEY (source, partition, sequence)) WITHOUT ROWID"
    ),
    "CREATE INDEX quarantine_by_time ON quarantine (received_at, sequence)",
    "CREATE INDEX quarantine_by_code ON quarantine (code, received_at, sequence)",
)


def put(file: StoreFile, records: Sequence[Quarantined]) -> None:
    """Write records, all or none; what is there already stays as it is."""
    if records:
        with file.writing() as writing:
            rows = [_row(record) for record in records]
            writing.executemany("INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?, ?, ?, ?)", rows)


def drop(file: StoreFile, records: Sequence[Quarantined]) -> None:
    """Delete records, all or none."""
    if records:
        with file.writing() as writing:
            places = [(record.source, record.partition, record.sequence) for record in records]
            writing.executemany(
                "DELETE FROM quarantine WHERE source = ? AND partition = ? AND sequence = ?", places
            )


def select(file: StoreFile, code: str | None, limit: int | None) -> list[Quarantined]:
    """Return records, newest first."""
    where = Conditions()
    where.equal("code", code)
    text = f"SELECT document FROM quarantine{where} ORDER BY received_at DESC, sequence DESC LIMIT ?"
    with file.reading() as reading:
        rows = reading.execute(text, (*where.values, -1 if limit is None else limit)).fetchall()
    return [msgspec.json.decode(document, type=Quarantined) for (document,) in rows]


def _row(record: Quarantined) -> tuple[object, ...]:
    return (
        record.source,
        record.partition,
        record.sequence,
        milliseconds(record.received_at),
        record.rejected.code,
        msgspec.json.encode(record),
    )
