"""Snapshots: a consumer's state in a file, and the cursors it belongs to in the ledger.

1. The payload is written to a new file, synced, and renamed into place.
2. One transaction records file, hash and cursors.
3. All but the last two are forgotten and their files deleted; so are the acts that both of these have.

A crash before 2 leaves a file that nobody names, whole or half; the next snapshot deletes it.  One process
at a time writes snapshots of one consumer.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import msgspec
import sqlalchemy as sql
from sqlalchemy.engine import Connection, RowMapping

from txwatch.errors import SnapshotError, StoreError
from txwatch.ledger import acts
from txwatch.ledger.progress import as_text, from_text
from txwatch.ledger.tables import snapshots
from txwatch.model import Cursor, Partition

KEPT = 2

Written = tuple[str, str]
"""A payload on the disk that no record names yet: file name, sha256."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A state and its cursors.  `note` says why it is not the newest one, where it is not."""

    number: int
    cursors: dict[Partition, Cursor]
    act: int
    """The number of the last act that is in it."""
    payload: bytes
    version: str
    note: str = ""


def write_payload(folder: Path, consumer: str, payload: Iterable[bytes]) -> Written:
    """Write the payload durably, piece by piece."""
    pieces = list(payload)
    digest = _digest(pieces)
    name = f"{quote(consumer, safe='')}-{digest[:16]}.snapshot"
    temporary = folder / f".{name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_synced(temporary, pieces)
        temporary.replace(folder / name)
        _sync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise StoreError(f"cannot write a snapshot to {folder}: {error.strerror}") from error
    return name, digest


def record(
    connection: Connection,
    consumer: str,
    cursors: Mapping[Partition, Cursor],
    written: Written,
    version: str,
    at: float,
    act: int,
) -> set[str]:
    """Record a written payload; returns the file names that are still needed."""
    name, digest = written
    values = {
        "consumer": consumer,
        "file": name,
        "sha256": digest,
        "version": version,
        "cursors": as_text(cursors),
        "taken_at": at,
        "act": act,
    }
    connection.execute(sql.insert(snapshots).values(values))
    mine = snapshots.c.consumer == consumer
    newest = sql.select(snapshots.c.number).where(mine).order_by(snapshots.c.number.desc()).limit(KEPT)
    kept = list(connection.scalars(newest))
    connection.execute(sql.delete(snapshots).where(mine, snapshots.c.number.not_in(kept)))
    acts.forget(connection, consumer)
    return set(connection.scalars(sql.select(snapshots.c.file)))


def forget_newer(connection: Connection, consumer: str, number: int) -> None:
    """Forget the snapshots beyond a number, which turned out damaged: they take no place of whole ones."""
    connection.execute(
        sql.delete(snapshots).where(snapshots.c.consumer == consumer, snapshots.c.number > number)
    )


def sweep(folder: Path, consumer: str, needed: set[str]) -> None:
    """Delete the consumer's files that no record names, and what a crash left of one half-written."""
    own = re.compile(rf"\.?{re.escape(quote(consumer, safe=''))}-[0-9a-f]{{16}}\.snapshot(\.\d+)?")
    for path in folder.iterdir():
        if own.fullmatch(path.name) and path.name not in needed:
            path.unlink(missing_ok=True)


def newest(connection: Connection, folder: Path, consumer: str) -> Snapshot | None:
    """Return the newest undamaged snapshot, with a note when a newer one was missing or damaged.

    None when no file is left; raises SnapshotError when files are left and all of them are damaged.
    """
    mine = sql.select(snapshots).where(snapshots.c.consumer == consumer)
    note, left = "", 0
    for row in connection.execute(mine.order_by(snapshots.c.number.desc())).mappings():
        payload = _payload(folder / row["file"])
        if payload is not None and _digest([payload]) == row["sha256"]:
            return _snapshot(row, payload, note)
        left += payload is not None
        note = f"snapshot {row['file']} is missing or damaged; an older state is used and replayed from"
    if left:
        raise SnapshotError(
            f"every snapshot of {consumer} in {folder} is damaged; to start with empty baselines, delete "
            "that folder: the transactions in the store are then scored anew"
        )
    return None


def _snapshot(row: RowMapping, payload: bytes, note: str) -> Snapshot:
    return Snapshot(
        number=row["number"],
        cursors=from_text(row["cursors"]),
        act=row["act"],
        payload=payload,
        version=row["version"],
        note=note,
    )


def _payload(path: Path) -> bytes | None:
    """Return the file's bytes, none of them when the disk does not give them back, None without a file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return b""


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _write_synced(path: Path, pieces: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """A renamed file has its name for good only when its folder is on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
