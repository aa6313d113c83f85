"""Transactions and their feed in SQLite.

The table is clustered by (source, partition, sequence), so the feed is a range scan.  Arrivals grow
strictly over all partitions of the file, since one process ingests: the feed has one order for good.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from txwatch.columns import FEED, TRANSACTION
from txwatch.model import Cursor, Partition
from txwatch.ports import Clock, TransactionQuery
from txwatch.stores.sqlite.conditions import Conditions, milliseconds
from txwatch.stores.sqlite.file import StoreFile

TABLES = (
    "CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    (
        "CREATE TABLE partitions (source INTEGER NOT NULL, partition INTEGER NOT NULL, "
        "sequence INTEGER NOT NULL, arrival INTEGER NOT NULL, PRIMARY KEY (source, partition)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE transactions (source INTEGER NOT NULL, partition INTEGER NOT NULL, "
        "sequence INTEGER NOT NULL, arrival INTEGER NOT NULL, transaction_id TEXT NOT NULL, "
        "timestamp INTEGER NOT NULL, user_id TEXT NOT NULL, merchant_id TEXT NOT NULL, amount REAL NOT NULL, "
        "currency TEXT NOT NULL, status TEXT NOT NULL, channel TEXT, country TEXT, lat REAL, lon REAL, "
        "device_id TEXT, ip TEXT, card_id TEXT, merchant_category TEXT, extra TEXT, "
        "PRIMARY KEY (source, partition, sequence)) WITHOUT ROWID"
    ),
    "CREATE INDEX transactions_by_time ON transactions (timestamp)",
    "CREATE INDEX transactions_by_user ON transactions (user_id, timestamp)",
    "CREATE INDEX transactions_by_merchant ON transactions (merchant_id, timestamp)",
    "CREATE INDEX transactions_by_id ON transactions (transaction_id)",
)

_COLUMNS = ("source", "partition", "sequence", "arrival", *TRANSACTION)
_INSERT = f"INSERT INTO transactions ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_SELECT = "SELECT s.name, t.partition, t.sequence, t.arrival, " + ", ".join(f"t.{c}" for c in TRANSACTION)
_FROM = " FROM transactions t JOIN sources s ON s.id = t.source"
_BEYOND = f"{_SELECT}{_FROM} WHERE t.source = ? AND t.partition = ? AND t.sequence > ?"
_PARTITIONS = (
    "SELECT s.name, p.partition, p.source, p.sequence FROM partitions p JOIN sources s ON s.id = p.source"
)
_READ = {name: pl.Int64() if name == "timestamp" else kind for name, kind in FEED.items()}


def append(file: StoreFile, clock: Clock, rows: pl.DataFrame) -> None:
    """Write the rows that are not there yet, all or none."""
    if rows.is_empty():
        return
    rows = rows.with_columns(pl.col("timestamp").dt.timestamp("ms"))
    with file.writing() as writing:
        arrival = _next_arrival(writing, clock)
        for (source, partition), part in rows.group_by("source", "partition", maintain_order=True):
            number = _source_number(writing, str(source))
            fresh = part.filter(pl.col("sequence") > _last_sequence(writing, number, partition))
            if fresh.is_empty():
                continue
            writing.executemany(_INSERT, _records(fresh, number, arrival))
            arrival += fresh.height
            last = (number, partition, fresh["sequence"][-1], arrival - 1)
            writing.execute("REPLACE INTO partitions VALUES (?, ?, ?, ?)", last)


def feed(file: StoreFile, after: Mapping[Partition, Cursor], limit: int) -> pl.DataFrame:
    """Return at most `limit` rows beyond the cursors, by arrival."""
    with file.reading() as reading:
        found: list[Any] = []
        for name, partition, source, newest in reading.execute(_PARTITIONS).fetchall():
            cursor = after.get(Partition(name, partition))
            if cursor is None or cursor.sequence < newest:
                found.append(_beyond(reading, source, partition, cursor, limit))
    return _merged(found, limit)


def transactions(file: StoreFile, query: TransactionQuery) -> pl.DataFrame:
    """Return the matching rows in event-time order; a limit keeps the newest."""
    where = Conditions()
    where.at_least("t.timestamp", milliseconds(query.since))
    where.below("t.timestamp", milliseconds(query.until))
    where.equal("t.user_id", query.user_id)
    where.equal("t.merchant_id", query.merchant_id)
    where.equal("t.transaction_id", query.transaction_id)
    text = f"{_SELECT}{_FROM}{where} ORDER BY t.timestamp DESC, t.arrival DESC LIMIT ?"
    with file.reading() as reading:
        limit = -1 if query.limit is None else query.limit
        rows = reading.execute(text, (*where.values, limit)).fetchall()
    return _frame(rows).reverse()


def _merged(parts: list[list[Any]], limit: int) -> pl.DataFrame:
    if len(parts) == 1:
        return _frame(parts[0])
    frames = [_frame(rows) for rows in parts]
    return pl.concat([_frame([]), *frames]).sort("arrival").head(limit)


def _frame(rows: list[Any]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=_READ, orient="row")
    return frame.with_columns(pl.col("timestamp").cast(FEED["timestamp"]))


def _beyond(
    reading: sqlite3.Connection, source: int, partition: int, cursor: Cursor | None, limit: int
) -> list[Any]:
    sequence = -(2**63) if cursor is None else cursor.sequence
    rows = reading.execute(f"{_BEYOND} ORDER BY t.sequence LIMIT ?", (source, partition, sequence, limit))
    return rows.fetchall()


def _records(rows: pl.DataFrame, source: int, arrival: int) -> Iterator[tuple[Any, ...]]:
    ready = rows.select(
        pl.lit(source).alias("source"),
        "partition",
        "sequence",
        pl.int_range(arrival, arrival + rows.height, dtype=pl.Int64).alias("arrival"),
        *TRANSACTION,
    )
    return ready.iter_rows()


def _next_arrival(writing: sqlite3.Connection, clock: Clock) -> int:
    last = writing.execute("SELECT max(arrival) FROM partitions").fetchone()[0] or 0
    return max(int(clock.now().timestamp() * 1e9), last + 1)


def _source_number(writing: sqlite3.Connection, name: str) -> int:
    writing.execute("INSERT INTO sources (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    return int(writing.execute("SELECT id FROM sources WHERE name = ?", (name,)).fetchone()[0])


def _last_sequence(writing: sqlite3.Connection, source: int, partition: Any) -> int:
    text = "SELECT sequence FROM partitions WHERE source = ? AND partition = ?"
    row = writing.execute(text, (source, partition)).fetchone()
    return -(2**63) if row is None else int(row[0])
