"""The SQLite file: opening, its tables, its transactions, and its errors as sentences.

Guarantee: a transaction that returned is on the disk (`synchronous=FULL`), one that raised left nothing.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from txwatch.errors import StoreBusyError, StoreError

BUSY_MILLISECONDS = 10_000

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SENTENCES = {
    sqlite3.SQLITE_FULL: "the disk is full; nothing of this batch was written",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore it, or move it away and ingest again",
    sqlite3.SQLITE_NOTADB: "the file is not a txwatch store",
    sqlite3.SQLITE_READONLY: "the file cannot be written; check its owner and its folder's",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check that its folder exists and is yours",
    sqlite3.SQLITE_IOERR: "the disk does not answer, or is full",
}


class StoreFile:
    """One connection to the file; not for use by several threads."""

    def __init__(self, path: Path, layouts: Sequence[Sequence[str]]) -> None:
        """`layouts` are the statements that lead from each layout's version to the next, from nothing on."""
        self.path = path
        with self._sentences():
            self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            with self._sentences():
                self._prepare(layouts)
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
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file, however much is written meanwhile."""
        with self._sentences():
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            finally:
                self.connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        self.connection.close()

    def _prepare(self, layouts: Sequence[Sequence[str]]) -> None:
        connection = self.connection
        connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-65536")
        found = _version(connection)
        if found > len(layouts):
            raise StoreError(f"{self.path} comes from a newer txwatch (layout {found}); upgrade this one")
        if found < len(layouts):
            with self.writing() as writing:
                for statement in chain(*layouts[_version(writing) :]):
                    writing.execute(statement)
                writing.execute(f"PRAGMA user_version={len(layouts)}")

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
            raise StoreError(f"{self.path}: {_SENTENCES.get(code, str(error))}") from error


def _version(connection: sqlite3.Connection) -> int:
    """Return the file's layout; 0 is an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
