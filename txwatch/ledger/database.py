"""The database under the ledger: the only place that knows which one it is, and its errors as sentences."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from txwatch.errors import ConfigurationError, StoreBusyError, StoreError
from txwatch.ledger.postgres import READING, is_postgres, open_postgres, refusal

BUSY_MILLISECONDS = 10_000

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_PASSING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_SENTENCES = {
    sqlite3.SQLITE_FULL: "the disk is full; nothing of this step was recorded",
    sqlite3.SQLITE_IOERR: "the disk does not answer, or is full; nothing of this step was recorded",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore it from a backup",
    sqlite3.SQLITE_NOTADB: "the file is not a ledger",
    sqlite3.SQLITE_READONLY: "the file cannot be written; check its owner and its folder's",
    sqlite3.SQLITE_CANTOPEN: "unable to open the file; check that its folder exists and is yours",
}


def open_database(url: str) -> Engine:
    """Return an engine on the ledger's database; raises ConfigurationError for an address of none."""
    if is_postgres(url):
        return open_postgres(url)
    if url.startswith("sqlite:///"):
        return open_sqlite(url)
    raise ConfigurationError(
        f"no ledger is known for {url.partition(':')[0]!r}; an address starts with sqlite:/// or postgresql://"
    )


def folder_beside(url: str) -> Path | None:
    """Return the folder of the ledger's file, None where it is in no file."""
    return None if is_postgres(url) else Path(url.removeprefix("sqlite:///")).parent


def open_sqlite(url: str) -> Engine:
    """Return an engine on one SQLite file: WAL, every commit synced, and the write lock taken at once."""
    engine = sql.create_engine(url, poolclass=sql.pool.StaticPool, connect_args={"check_same_thread": False})

    @sql.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @sql.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = READING.items() <= connection.get_execution_options().items()
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def sentences(engine: Engine) -> Iterator[None]:
    """Raise what the database says as one sentence for a person."""
    try:
        yield
    except DBAPIError as error:
        if engine.dialect.name == "postgresql":
            raise refusal(error.orig) from error
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if code in _BUSY:
            raise StoreBusyError("the ledger is being written by another process; try again") from error
        why = _SENTENCES.get(code, str(error.orig))
        kind = StoreBusyError if code in _PASSING else StoreError
        raise kind(f"the ledger {engine.url.database} refuses: {why}") from error
