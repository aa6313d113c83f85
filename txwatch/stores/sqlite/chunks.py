"""Chunks: up to `CHUNK_ROWS` transactions of one partition, packed into one record.

A row a record would cost a Python object for every value and a random place in four indexes for every
row: 28,000 rows/s written and 55,000/s read.  A chunk is an Arrow stream (lz4), written and read at once,
beside what finds it: its place, its span of event time, and a fingerprint of every user, merchant and
transaction id, which SQLite scans at several hundred million ids a second.
"""

import io
import sqlite3
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from txwatch.columns import FEED, TRANSACTION
from txwatch.errors import StoreError
from txwatch.model import Partition

CHUNK_ROWS = 2048
"""Finding one row unpacks one chunk (about half a millisecond), so chunks are kept this small."""

KEYS = ("user_id", "merchant_id", "transaction_id")
"""Columns by which transactions are found."""

TABLES = (
    (
        "CREATE TABLE chunks (number INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, "
        "partition INTEGER NOT NULL, last INTEGER NOT NULL, arrival INTEGER NOT NULL, "
        "since INTEGER NOT NULL, until INTEGER NOT NULL, rows INTEGER NOT NULL, checksum INTEGER NOT NULL, "
        "user_id BLOB NOT NULL, merchant_id BLOB NOT NULL, transaction_id BLOB NOT NULL, data BLOB NOT NULL)"
    ),
    "CREATE UNIQUE INDEX chunks_by_place ON chunks (source, partition, last)",
    "CREATE INDEX chunks_by_time ON chunks (until, since, rows)",
)
"""`last` is the highest sequence, `arrival` the first; `since` and `until` the event times, both included."""

PACKED = ("source", "partition", "checksum", "data")
"""What `unpacked` takes."""

_COLUMNS = ("source", "partition", "last", "arrival", "since", "until", "rows", "checksum", *KEYS, "data")
_INSERT = f"INSERT INTO chunks ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_ROW = ("sequence", "arrival", *TRANSACTION)


def insert(writing: sqlite3.Connection, place: Partition, rows: pl.DataFrame) -> None:
    """Write rows of one place (columns FEED, in growing sequence) as one chunk or several."""
    writing.executemany(_INSERT, (_record(place, part) for part in rows.iter_slices(CHUNK_ROWS)))


def delete(writing: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Delete chunks by their numbers, which are never given out again."""
    writing.executemany("DELETE FROM chunks WHERE number = ?", ((number,) for number in numbers))


def read(reading: sqlite3.Connection, number: int) -> pl.DataFrame:
    """Return one chunk's rows (columns FEED)."""
    record = reading.execute(f"SELECT {', '.join(PACKED)} FROM chunks WHERE number = ?", (number,)).fetchone()
    return unpacked(*record)


def unpacked(source: str, partition: int, checksum: int, data: bytes) -> pl.DataFrame:
    """Return a chunk's rows (columns FEED); raises StoreError when the disk has changed them."""
    if zlib.crc32(data) != checksum:
        raise StoreError(
            f"stored transactions of {source}, partition {partition}, are damaged; "
            "restore the file, or move it away and ingest again"
        )
    rows = pl.read_ipc_stream(io.BytesIO(data))
    place = {"source": source, "partition": partition}
    added = [
        pl.lit(place.get(name), dtype=kind).alias(name)
        for name, kind in FEED.items()
        if name not in rows.columns
    ]
    return rows.select(*rows.columns, *added).select(list(FEED))


def fingerprint(value: str) -> bytes:
    """Return what stands for a key in a chunk: two keys may share it, one key has one."""
    return zlib.crc32(value.encode()).to_bytes(4, "little")


def _record(place: Partition, rows: pl.DataFrame) -> tuple[Any, ...]:
    data = _packed(rows)
    times = rows["timestamp"].to_physical()
    return (
        *place,
        rows["sequence"][-1],
        rows["arrival"][0],
        times.min(),
        times.max(),
        rows.height,
        zlib.crc32(data),
        *(_fingerprints(rows[name]) for name in KEYS),
        data,
    )


def _packed(rows: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    # The oldest layout of texts is the one that every reader of Arrow understands.
    rows.select(_ROW).write_ipc_stream(stream, compression="lz4", compat_level=pl.CompatLevel.oldest())
    return stream.getvalue()


def _fingerprints(keys: pl.Series) -> bytes:
    values = keys.cast(pl.Binary).to_list()
    return np.fromiter(map(zlib.crc32, values), dtype="<u4", count=len(values)).tobytes()
