"""Questions about stored transactions: the chunks that may hold an answer, newest first, and their rows."""

import sqlite3

import polars as pl

from txwatch.columns import FEED
from txwatch.ports import TransactionQuery
from txwatch.stores.sqlite import chunks
from txwatch.stores.sqlite.conditions import Conditions, milliseconds
from txwatch.stores.sqlite.file import StoreFile


def transactions(file: StoreFile, query: TransactionQuery) -> pl.DataFrame:
    """Return the matching rows in event-time order; a limit keeps the newest."""
    with file.reading() as reading:
        return _ordered(_matching(reading, query)).tail(_limit(query))


def _matching(reading: sqlite3.Connection, query: TransactionQuery) -> list[pl.DataFrame]:
    """Return parts that hold every answer, read no further back than the limit needs."""
    where = _chunk_conditions(query)
    text = f"SELECT until, {', '.join(chunks.PACKED)} FROM chunks{where} ORDER BY until DESC"
    wanted, parts, count, oldest = _row_condition(query), [], 0, None
    for until, *packed in reading.execute(text, where.values):
        if oldest is not None and until < oldest:
            break
        part = chunks.unpacked(*packed).filter(wanted)
        parts.append(part)
        count += part.height
        if count >= _limit(query):
            parts = [_ordered(parts).tail(_limit(query))]
            count, oldest = parts[0].height, parts[0]["timestamp"].to_physical().min()
    return parts


def _limit(query: TransactionQuery) -> int:
    return 2**32 - 1 if query.limit is None else query.limit


def _chunk_conditions(query: TransactionQuery) -> Conditions:
    where = Conditions()
    where.at_least("until", milliseconds(query.since))
    where.below("since", milliseconds(query.until))
    for name in chunks.KEYS:
        value = getattr(query, name)
        where.add(f"instr({name}, ?)", None if value is None else chunks.fingerprint(value))
    return where


def _row_condition(query: TransactionQuery) -> pl.Expr:
    time = pl.col("timestamp").to_physical()
    since, until = milliseconds(query.since), milliseconds(query.until)
    named = [(name, getattr(query, name)) for name in chunks.KEYS]
    conditions = [pl.col(name) == value for name, value in named if value is not None]
    conditions += [] if since is None else [time >= since]
    conditions += [] if until is None else [time < until]
    return pl.all_horizontal(pl.lit(True), *conditions)


def _ordered(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=FEED), *parts]).sort("timestamp", "arrival")
