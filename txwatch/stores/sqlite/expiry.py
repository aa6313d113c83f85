"""Retention in SQLite: what is too old goes in small transactions, so that nobody waits for long.

The file keeps its size: SQLite writes new records into the space that old ones leave.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime

import polars as pl

from txwatch.model import Partition
from txwatch.ports import Clock
from txwatch.stores.sqlite import chunks
from txwatch.stores.sqlite.conditions import milliseconds
from txwatch.stores.sqlite.file import StoreFile

RECORDS_A_STEP = 5_000
CHUNKS_A_STEP = 8
PAUSE_SECONDS = 0.02
"""Between steps: a waiting writer asks again every few milliseconds, and must find the file free once."""

Step = Callable[[sqlite3.Connection], int]


def expire_transactions(file: StoreFile, clock: Clock, before: datetime) -> int:
    """Delete transactions of an event time before `before`; returns how many went."""
    cutoff = milliseconds(before)
    assert cutoff is not None
    return _in_steps(file, clock, lambda writing: _expire_chunks(writing, cutoff))


def expire_records(file: StoreFile, clock: Clock, table: str, key: str, column: str, before: datetime) -> int:
    """Delete the records of a table whose time is before `before`; returns how many went."""
    text = f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {column} < ? LIMIT ?)"
    values = (milliseconds(before), RECORDS_A_STEP)
    return _in_steps(file, clock, lambda writing: writing.execute(text, values).rowcount)


def _in_steps(file: StoreFile, clock: Clock, step: Step) -> int:
    gone = 0
    while True:
        with file.writing() as writing:
            count = step(writing)
        if count == 0:
            return gone
        gone += count
        clock.sleep(PAUSE_SECONDS)


def _expire_chunks(writing: sqlite3.Connection, cutoff: int) -> int:
    text = "SELECT number, until, rows FROM chunks WHERE since < ? ORDER BY until LIMIT ?"
    found = writing.execute(text, (cutoff, CHUNKS_A_STEP)).fetchall()
    spent = [number for number, until, _ in found if until < cutoff]
    kept = sum(_rewrite(writing, number, cutoff) for number, until, _ in found if until >= cutoff)
    chunks.delete(writing, spent)
    return sum(int(rows) for *_, rows in found) - kept


def _rewrite(writing: sqlite3.Connection, number: int, cutoff: int) -> int:
    """Keep a chunk's younger rows, in a chunk of their own; returns how many."""
    rows = chunks.read(writing, number)
    kept = rows.filter(pl.col("timestamp").to_physical() >= cutoff)
    chunks.delete(writing, [number])
    chunks.insert(writing, Partition(rows["source"][0], rows["partition"][0]), kept)
    return kept.height
