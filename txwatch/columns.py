"""The columns in which batches travel between the rooms, one list for all of them.

A batch is a `polars.DataFrame` with the columns of `TRANSACTION` (what a transaction says) and, where
it comes from a source or a store, those of `POSITION` (where it stood).  Times are event times in UTC.
"""

from collections.abc import Sequence

import msgspec
import polars as pl

from txwatch.model import Transaction

TIME = pl.Datetime("ms", "UTC")

TRANSACTION: dict[str, pl.DataType] = {
    "transaction_id": pl.String(),
    "timestamp": TIME,
    "user_id": pl.String(),
    "merchant_id": pl.String(),
    "amount": pl.Float64(),
    "currency": pl.String(),
    "status": pl.String(),
    "channel": pl.String(),
    "country": pl.String(),
    "lat": pl.Float64(),
    "lon": pl.Float64(),
    "device_id": pl.String(),
    "ip": pl.String(),
    "card_id": pl.String(),
    "merchant_category": pl.String(),
    "extra": pl.String(),
}
"""Required: transaction_id, timestamp, user_id, merchant_id, amount, currency, status (never null)."""

POSITION: dict[str, pl.DataType] = {
    "source": pl.String(),
    "partition": pl.Int32(),
    "sequence": pl.Int64(),
}

ARRIVAL: dict[str, pl.DataType] = {"arrival": pl.Int64()}
"""Nanoseconds since 1970 UTC, given by the store when it accepts the row."""

FEED: dict[str, pl.DataType] = {**POSITION, **ARRIVAL, **TRANSACTION}


MERCHANT_HOUR: dict[str, pl.DataType] = {
    "source": pl.String(),
    "partition": pl.Int32(),
    "start": TIME,
    "merchant_id": pl.String(),
    "through": pl.Int64(),
    "count": pl.Int64(),
    "declined": pl.Int64(),
    "paid": pl.Int64(),
    "total": pl.Float64(),
    "largest": pl.Float64(),
    "log_total": pl.Float64(),
    "log_squares": pl.Float64(),
}
"""What one partition contributed to one hour of one merchant, as absolute values.

`paid` counts approved payments above nothing with a known rate; `total`, `largest`, `log_total` (natural
logarithm) and `log_squares` are of those, in the base currency.  `through` is the sequence of the last
transaction counted.  Everything else adds up over partitions and hours, but `largest`.
"""


def frame(transactions: Sequence[Transaction]) -> pl.DataFrame:
    """Return transactions as a frame with the columns of `TRANSACTION`, in the same order."""
    rows = [msgspec.structs.astuple(t) for t in transactions]
    return pl.DataFrame(rows, schema=TRANSACTION, orient="row")


def transaction(row: dict[str, object]) -> Transaction:
    """Return one row of a frame as a transaction; columns beyond `TRANSACTION` are ignored."""
    values = {name: row[name] for name in TRANSACTION if row.get(name) is not None}
    return msgspec.convert(values, Transaction)
