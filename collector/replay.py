"""Rejected messages taken up again, after the schema learned to read them.

Guarantee: what is replayed is stored once and leaves the quarantine, whatever dies on the way.  In which
order: the rows with their identities go into a journal on disk, then into the store, then their records
leave the quarantine, then the journal goes.  A journal that is found is finished first, with the same
identities, so nothing is stored twice.  What still says no transaction stays where it is.

Replayed rows are a source of their own, `replay-<fingerprint of which messages>`, numbered in the order of
their arrival: detectors see them as new and score them.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path

import msgspec
import polars as pl

from collector.decode import Decoder
from collector.live import LiveWindow, decode_one_live
from collector.schema import Schema
from txwatch.columns import POSITION, TRANSACTION, frame
from txwatch.errors import RowsRefusedError, StoreBusyError
from txwatch.model import Quarantined, Rejected, Transaction
from txwatch.ports import QuarantineStore, TransactionStore

JOURNAL = "replay.journal"
STORE_REFUSED = "store_refused"

Read = Callable[[Quarantined], Transaction | Rejected]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay would do: `records` become `rows`, in order; `refused` stay, with today's reason."""

    records: tuple[Quarantined, ...]
    rows: pl.DataFrame
    refused: tuple[Quarantined, ...]


def reader(schema: Schema, window: LiveWindow | None) -> Read:
    """Return how a rejected message is read today; `window` is where its time must lie, None for anywhere."""
    decoder, own = Decoder(schema), Decoder(Schema())

    def read(record: Quarantined) -> Transaction | Rejected:
        if record.rejected.length > len(record.rejected.raw):
            return _as_today(record.rejected, "truncated", "only its beginning was kept")
        used = own if record.rejected.code == STORE_REFUSED else decoder
        return (
            decode_one_live(record.rejected.raw, used, window) if window else used.decode(record.rejected.raw)
        )

    return read


def plan(records: Sequence[Quarantined], read: Read) -> Plan:
    """Return what a replay of these records would do; depends on nothing else."""
    judged = [(record, read(record)) for record in sorted(records, key=_order)]
    taken = [(record, result) for record, result in judged if isinstance(result, Transaction)]
    refused = [
        msgspec.structs.replace(record, rejected=result)
        for record, result in judged
        if isinstance(result, Rejected)
    ]
    kept = tuple(record for record, _ in taken)
    return Plan(records=kept, rows=_positioned(kept, [row for _, row in taken]), refused=tuple(refused))


class Replay:
    """Carries plans out; one at a time in a folder."""

    def __init__(self, folder: Path, store: TransactionStore, quarantine: QuarantineStore) -> None:
        self._path = folder / JOURNAL
        self._store = store
        self._quarantine = quarantine

    def finish(self) -> int:
        """Carry out what an earlier run left behind; returns how many rows it had."""
        with _alone(self._path):
            return self._finish()

    def carry_out(self, plan: Plan) -> int:
        """Store the plan's rows and take its records out of the quarantine; returns how many were stored."""
        if not plan.records:
            return 0
        with _alone(self._path):
            self._finish()
            _write_whole(self._path, _journal(plan))
            return self._finish()

    def _finish(self) -> int:
        if not self._path.exists():
            return 0
        written = msgspec.msgpack.decode(self._path.read_bytes(), type=_Journal)
        refused = self._append(pl.read_parquet(BytesIO(written.rows)))
        stored = [record for number, record in enumerate(written.records) if number not in refused]
        self._quarantine.drop(stored)
        self._path.unlink()
        return len(stored)

    def _append(self, rows: pl.DataFrame) -> set[int]:
        """Return the numbers of the rows that the store will not take; they stay in quarantine."""
        try:
            self._store.append(rows)
        except RowsRefusedError as error:
            return {row.sequence for row in error.refused}
        return set()


class _Journal(msgspec.Struct, frozen=True, kw_only=True):
    records: tuple[Quarantined, ...]
    rows: bytes


def _journal(plan: Plan) -> bytes:
    """Return the plan as bytes; of the records their places are enough."""
    told = tuple(
        msgspec.structs.replace(record, rejected=Rejected(code=record.rejected.code, sentence=""))
        for record in plan.records
    )
    rows = BytesIO()
    plan.rows.write_parquet(rows)
    return msgspec.msgpack.encode(_Journal(records=told, rows=rows.getvalue()))


def _positioned(records: Sequence[Quarantined], rows: Sequence[Transaction]) -> pl.DataFrame:
    told = "\n".join(f"{r.source}\t{r.partition}\t{r.sequence}" for r in records)
    source = f"replay-{hashlib.blake2b(told.encode(), digest_size=6).hexdigest()}"
    return frame(rows).select(
        pl.lit(source).alias("source"),
        pl.lit(0, dtype=POSITION["partition"]).alias("partition"),
        pl.int_range(len(rows), dtype=pl.Int64).alias("sequence"),
        *TRANSACTION,
    )


def _order(record: Quarantined) -> tuple[datetime, str, int, int]:
    return record.received_at, record.source, record.partition, record.sequence


def _as_today(before: Rejected, code: str, sentence: str) -> Rejected:
    return msgspec.structs.replace(before, code=code, sentence=sentence)


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, also after a power cut."""
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreBusyError(f"another replay is at work in {path.parent}") from error
        yield
