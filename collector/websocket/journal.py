"""The listener's journal: which frames were taken under which numbers, on the disk before they are stored.

1. `enter` writes new frames with their numbers and messages, durably, in one transaction.
2. The collector writes the messages to the store.
3. `settle` notes that they are stored and drops the messages; then the producer is told.

After a crash `unsettled` gives the frames between 1 and 3 with the same numbers, so that the store knows
what it has already.  A frame that a producer sends again is recognised by its id, among the newest
`remembered` frames.  One process uses the file at a time.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from txwatch.errors import StoreBusyError, StoreError

_TABLE = (
    "CREATE TABLE IF NOT EXISTS frames (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, "
    "producer TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL, messages BLOB, UNIQUE (producer, id))"
)
_UNSETTLED = "CREATE INDEX IF NOT EXISTS unsettled ON frames (first) WHERE messages IS NOT NULL"
_FORGET = (
    "DELETE FROM frames WHERE messages IS NULL AND first <= "
    "(SELECT first FROM frames ORDER BY first DESC LIMIT 1 OFFSET ?)"
)
_COLUMNS = "first, count, producer, id, digest, messages"
FORGET_AT_ONCE = 10
"""The oldest frames are forgotten when a tenth more than those remembered has come."""

_WIDTH = 1
"""An empty frame takes one number all the same, since its number is its key."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A frame of a producer under its numbers; `messages` is None once they are stored."""

    first: int
    count: int
    producer: str
    id: str
    digest: bytes
    messages: list[bytes] | None

    @property
    def following(self) -> int:
        """The number after its last."""
        return self.first + max(self.count, _WIDTH)


class Journal:
    """One SQLite file; raises StoreError where the disk refuses, and then nothing was entered."""

    def __init__(self, path: Path, remembered: int) -> None:
        self._remembered = remembered
        self._settled = 0
        with _sentences(path):
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", _TABLE, _UNSETTLED):
                self._connection.execute(statement)
        self._path = path

    def following(self) -> int:
        """Return the number after the last one that was given."""
        with _sentences(self._path):
            rows = self._select("ORDER BY first DESC LIMIT 1")
        return rows[0].following if rows else 0

    def find(self, producer: str, frame: str) -> Entry | None:
        """Return what is known of a producer's frame."""
        with _sentences(self._path):
            rows = self._select("WHERE producer = ? AND id = ?", producer, frame)
        return rows[0] if rows else None

    def unsettled(self) -> list[Entry]:
        """Return the frames of which it is not known that they are stored, in order."""
        with _sentences(self._path):
            return self._select("WHERE messages IS NOT NULL ORDER BY first")

    def enter(self, entries: Sequence[Entry]) -> None:
        """Write new frames durably, all or none."""
        rows = [
            (e.first, e.count, e.producer, e.id, e.digest, msgspec.msgpack.encode(e.messages))
            for e in entries
        ]
        with self._writing() as writing:
            writing.executemany(f"INSERT INTO frames ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", rows)  # noqa: S608 - our own column names

    def settle(self, before: int) -> None:
        """Note that everything before a number is stored; now and then forget the oldest frames."""
        with self._writing() as writing:
            self._settled += writing.execute(
                "UPDATE frames SET messages = NULL WHERE messages IS NOT NULL AND first < ?", (before,)
            ).rowcount
            if self._settled * FORGET_AT_ONCE > self._remembered:
                self._settled = 0
                writing.execute(_FORGET, (self._remembered,))

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._connection.close()

    def _select(self, condition: str, *values: object) -> list[Entry]:
        text = f"SELECT {_COLUMNS} FROM frames {condition}"  # noqa: S608 - our own words, values are parameters
        return [_entry(row) for row in self._connection.execute(text, values)]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with _sentences(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _entry(row: tuple[int, int, str, str, bytes, bytes | None]) -> Entry:
    first, count, producer, frame, digest, messages = row
    kept = None if messages is None else msgspec.msgpack.decode(messages, type=list[bytes])
    return Entry(first=first, count=count, producer=producer, id=frame, digest=digest, messages=kept)


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StoreBusyError(f"{path} is being written by another process") from error
        raise StoreError(f"{path}: {error}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
