"""Stored transactions in event-time order, by time, user, merchant or id."""

import polars as pl

from txwatch.columns import FEED as FEED_COLUMNS
from txwatch.columns import TRANSACTION
from txwatch.ports import TransactionQuery
from txwatch.stores.influx.conditions import between, equal, where
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import TRANSACTIONS
from txwatch.stores.influx.lines import user_buckets
from txwatch.stores.influx.text import decode_tag
from txwatch.stores.influx.whole import whole_rows

_FIELDS = [name for name in TRANSACTION if name != "timestamp"]
_SELECTED = ["sequence", "arrival", "source", "partition", *_FIELDS]
_TABLE = {"name": pl.String(), "tags": pl.String(), "time": pl.Int64()} | {
    name: FEED_COLUMNS[name] for name in _SELECTED
}
_NEVER_NULL = ("sequence", "arrival", "amount", "currency", "status")
_REQUIRED_TEXTS = ("transaction_id", "user_id", "merchant_id")


def read_transactions(connection: Connection, query: TransactionQuery) -> pl.DataFrame:
    """Return the matching rows (columns FEED) in event-time order.

    An empty text in an optional column comes back as null: InfluxDB's CSV does not tell them apart.
    """
    columns = ", ".join(f'"{name}"' for name in _SELECTED)
    newest = f" ORDER BY time DESC LIMIT {query.limit}" if query.limit is not None else ""
    select = f"SELECT {columns} FROM {TRANSACTIONS}"  # noqa: S608 - InfluxQL; values are quoted literals
    answer = connection.checked_rows(TRANSACTIONS, f"{select}{_where(query)}{newest}")
    if not answer:
        return pl.DataFrame(schema=FEED_COLUMNS)
    return _in_order(whole_rows(answer, _TABLE, _NEVER_NULL))


def _where(query: TransactionQuery) -> str:
    bucket = None if query.user_id is None else str(user_buckets([query.user_id])[0])
    return where(
        [
            *between(query.since, query.until),
            *equal("ub", bucket),
            *equal("user_id", query.user_id),
            *equal("merchant_id", query.merchant_id),
            *equal("transaction_id", query.transaction_id),
        ]
    )


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    sources = rows["source"].unique().to_list()
    decoded = pl.col("source").replace_strict(
        sources, [decode_tag(each) for each in sources], return_dtype=pl.String
    )
    event_time = pl.from_epoch(pl.col("time") // 1_000_000, time_unit="ms").dt.replace_time_zone("UTC")
    complete = rows.with_columns(decoded, pl.col(_REQUIRED_TEXTS).fill_null(""), timestamp=event_time)
    return complete.sort("timestamp", "source", "partition", "sequence").select(list(FEED_COLUMNS))
