"""How a file of each earlier layout becomes one of the next.

Each migration runs in the write transaction of the one who opens the file: a crash leaves the old file.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from txwatch.columns import FEED, TRANSACTION
from txwatch.model import Partition
from txwatch.stores.sqlite import anomalies, chunks, quarantine, traffic


def add_traffic(connection: sqlite3.Connection) -> None:
    """Layout 1 to 2: windows of traffic are kept."""
    _run(connection, traffic.TABLES)


def pack_transactions(connection: sqlite3.Connection) -> None:
    """Layout 2 to 3: transactions in chunks instead of rows; indexes for every question about anomalies."""
    _run(connection, chunks.TABLES)
    for number, name in connection.execute("SELECT id, name FROM sources").fetchall():
        for (partition,) in connection.execute(_PARTITIONS, (number,)).fetchall():
            _pack(connection, number, Partition(name, partition))
    _run(connection, (*_NAMED_PARTITIONS, "DROP TABLE transactions", "DROP TABLE sources"))
    for table, statements in (("anomalies", anomalies.TABLES), ("quarantine", quarantine.TABLES)):
        _rebuild(connection, table, statements)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (add_traffic, pack_transactions)
"""From layout 1 to 2, from 2 to 3, and so on: appended to, never changed."""

_PARTITIONS = "SELECT DISTINCT partition FROM transactions WHERE source = ?"
_ROWS = (
    f"SELECT sequence, arrival, {', '.join(TRANSACTION)} FROM transactions "
    "WHERE source = ? AND partition = ? ORDER BY sequence"
)
_NAMED_PARTITIONS = (
    "ALTER TABLE partitions RENAME TO numbered",
    (
        "CREATE TABLE partitions (source TEXT NOT NULL, partition INTEGER NOT NULL, "
        "sequence INTEGER NOT NULL, arrival INTEGER NOT NULL, PRIMARY KEY (source, partition)) WITHOUT ROWID"
    ),
    (
        "INSERT INTO partitions SELECT s.name, n.partition, n.sequence, n.arrival "
        "FROM numbered n JOIN sources s ON s.id = n.source"
    ),
    "DROP TABLE numbered",
)
_READ = {
    name: pl.Int64() if name == "timestamp" else kind
    for name, kind in FEED.items()
    if name not in Partition._fields
}


def _pack(connection: sqlite3.Connection, source: int, place: Partition) -> None:
    rows = connection.execute(_ROWS, (source, place.partition))
    names = [column[0] for column in rows.description]
    while part := rows.fetchmany(chunks.CHUNK_ROWS):
        chunks.insert(connection, place, _frame(names, part))


def _frame(names: Sequence[str], rows: list[Any]) -> pl.DataFrame:
    schema = {name: _READ[name] for name in names}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.col("timestamp").cast(FEED["timestamp"])
    )


def _rebuild(connection: sqlite3.Connection, table: str, statements: Sequence[str]) -> None:
    """Make a table anew by its present statements, with the records it has."""
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?"
    for (index,) in connection.execute(indexes, (table,)).fetchall():
        connection.execute(f"DROP INDEX {index}")
    connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    _run(
        connection, (*statements, f"INSERT INTO {table} SELECT * FROM old_{table}", f"DROP TABLE old_{table}")
    )


def _run(connection: sqlite3.Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement)
