"""Transactions as lines for the bucket `transactions`, built a column at a time.

A line depends on the message alone (and its arrival, a field), so the same message is the same point:

    transactions,lap=0,partition=3,source=orders,ub=17 amount=12.5,...,user_id="u1" 1700000000000000042

The time is the event time to the millisecond with `sequence % 1,000,000` in the nanoseconds below; `lap`
tells sequences apart that differ by a multiple of that; `ub` finds one user without reading everybody's.
"""

import zlib

import polars as pl

from txwatch.columns import TRANSACTION
from txwatch.stores.influx.layout import LAP, LAPS, TRANSACTIONS, USER_BUCKETS
from txwatch.stores.influx.text import tag

MILLISECOND = 1_000_000
"""In nanoseconds."""

TEXTS = tuple(name for name, kind in TRANSACTION.items() if kind == pl.String())
NUMBERS = tuple(name for name, kind in TRANSACTION.items() if kind == pl.Float64())
INTEGERS = ("sequence", "arrival")

_RAW, _ESCAPED = ["\\", '"'], ["\\\\", '\\"']


def transaction_lines(rows: pl.DataFrame) -> pl.Series:
    """Return one line for each row (columns FEED), in order; null fields are left out."""
    parts = [
        *_series_key(),
        pl.format(" amount={}", "amount"),
        *(pl.format(f",{name}={{}}i", name) for name in INTEGERS),
        *(pl.format(f",{name}={{}}", name) for name in NUMBERS if name != "amount"),
        *(pl.format(f',{name}="{{}}"', escaped(rows, name)) for name in TEXTS if present(rows, name)),
        pl.format(" {}", point_time()),
    ]
    prepared = rows.with_columns(
        source_tag(rows["source"]),
        pl.Series("ub", user_buckets(rows["user_id"].to_list()), dtype=pl.Int32),
    )
    return prepared.select(pl.concat_str(parts, ignore_nulls=True).alias("line"))["line"]


def point_time() -> pl.Expr:
    """Return the time of a transaction's point, in nanoseconds."""
    return pl.col("timestamp").dt.epoch("ms") * MILLISECOND + pl.col("sequence") % LAP


def user_buckets(users: list[str]) -> list[int]:
    """Return the user bucket of each id: the same in every process, on every machine, for ever."""
    checksum = zlib.crc32
    return [checksum(user.encode()) % USER_BUCKETS for user in users]


def source_tag(sources: pl.Series) -> pl.Series:
    """Return the sources as tag values, in a column of their own; there are few different ones."""
    different = sources.unique().to_list()
    return sources.replace_strict(different, [tag(name) for name in different], return_dtype=pl.String).alias(
        "source_tag"
    )


def present(rows: pl.DataFrame, name: str) -> bool:
    """Tell whether any row has a value there."""
    return rows[name].null_count() < rows.height


def escaped(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Return a text column as string fields have it, escaped only if something in it needs it."""
    if rows[name].str.contains_any(_RAW).any():
        return pl.col(name).str.replace_many(_RAW, _ESCAPED)
    return pl.col(name)


def _series_key() -> list[pl.Expr]:
    lap = pl.col("sequence") // LAP % LAPS
    return [
        pl.format(f"{TRANSACTIONS},lap={{}}", lap),
        pl.format(",partition={}", "partition"),
        pl.format(",source={}", "source_tag"),
        pl.format(",ub={}", "ub"),
    ]
