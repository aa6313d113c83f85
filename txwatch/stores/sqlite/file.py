"""The SQLite file: opening, its transactions, and its errors as sentences.

Guarantee: a transaction that returned is on the disk (`synchronous=FULL`: in WAL mode NORMAL would lose
the last ones with the power), one that raised left nothing.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from txwatch.errors import StoreBusyError, StoreError
from txwatch.stores.sqlite.localdisk import refuse_network

BUSY_MILLISECONDS = 10_000
CACHE_KIB = 65_536
CHECKPOINT_PAGES = 4_000
"""Of 4 KiB: the write-ahead log is carried into the file every 16 MB, not every few batches."""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_PASSING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
"""What may be over when somebody made room, or the disk answers again."""

_SENTENCES = {
    sqlite3.SQLITE_FULL: "the disk is full; nothing of this batch was written",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore it, or move it away and ingest again",
    sqlite3.SQLITE_NOTADB: "the file is not a txwatch store",
    sqlite3.SQLITE_READONLY: "the file cannot be written; check its owner and its folder's",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check that its folder exists and is yours",
    sqlite3.SQLITE_IOERR: "the disk does not answer, or is full; nothing of this batch was written",
    sqlite3.SQLITE_PROTOCOL: "the file's locks do not work here; move it to a disk of this machine",
}


Prepare = Callable[[sqlite3.Connection, Path], None]
"""Makes sure that a file has our tables, or refuses it."""


class StoreFile:
    """One connection to the file; not for use by several threads."""

    def __init__(self, path: Path, prepare: Prepare) -> None:
        self.path = path
        refuse_network(path)
        with self._sentences():
            self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with self._sentences():
                self._configure()
                prepare(self.connection, path)
        except StoreError:
            self.connection.close()
            raise

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: everything in it or nothing; waits for other writers."""
        with self._sentences():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file, however much is written meanwhile."""
        with self._sentences():
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            finally:
                self._roll_back()

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        self.connection.close()

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def _configure(self) -> None:
        self.connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        self.connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _BUSY:
                raise StoreBusyError(
                    f"{self.path} is being written by another process; try again in a moment"
                ) from error
            kind = StoreBusyError if code in _PASSING else StoreError
            raise kind(f"{self.path}: {_SENTENCES.get(code, str(error))}") from error
