"""PostgreSQL under the ledger, for several machines: the same promises as one SQLite file gives.

Who writes takes one lock for its transaction, so that writers come one after the other: numbers of the queue
and of the audit become visible in order, and of two notifiers the second sees what the first decided.  Who
reads waits for nobody and sees one moment.  A process that stands still within a transaction loses it after a
while, and the lock with it.
"""

from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine

from txwatch.errors import ConfigurationError, StoreBusyError, StoreError

READING = {"txwatch_reading": True}
"""Execution options of a connection that only reads, so that it waits for nobody."""
LOCK = int.from_bytes(b"txwatch\0")
WAIT = "10s"
STANDSTILL = "30s"
CONNECT_SECONDS = 10

_BUSY = {"55P03", "40001", "40P01"}
"""A lock was not to be had; two transactions stood in each other's way."""
_PASSING = ("08", "25P03", "53", "57P")
"""How the codes begin of what passes: connections, standstills, full disks, restarts of the server."""


def is_postgres(url: str) -> bool:
    """Tell whether an address is one of PostgreSQL."""
    return url.startswith(("postgresql://", "postgres://"))


def open_postgres(url: str) -> Engine:
    """Return an engine on a database; raises ConfigurationError where the library is missing."""
    address = sql.make_url(url.replace("postgres://", "postgresql://", 1)).set(
        drivername="postgresql+psycopg"
    )
    arguments = {
        "connect_timeout": CONNECT_SECONDS,
        "options": f"-c idle_in_transaction_session_timeout={STANDSTILL} -c lock_timeout={WAIT}",
        "application_name": "txwatch",
    }
    try:
        engine = sql.create_engine(address, pool_pre_ping=True, connect_args=arguments)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "a ledger in PostgreSQL needs the library psycopg: pip install 'txwatch[postgres]'"
        ) from error

    @sql.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if READING.items() <= connection.get_execution_options().items():
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        else:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")

    return engine


def refusal(error: Any) -> StoreError:
    """Return what the driver's error means, in one sentence."""
    code = getattr(error, "sqlstate", None)
    if code in _BUSY:
        return StoreBusyError("the ledger is being written by another process; try again")
    said = " ".join(str(error).split()).partition(" DETAIL:")[0]
    if code is None or code.startswith(_PASSING):
        return StoreBusyError(f"the ledger's database does not answer: {said}")
    return StoreError(f"the ledger's database refuses: {said}")
