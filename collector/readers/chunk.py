"""What a reader gives: some records of a file, read."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
import polars as pl

from collector.decode import Decoder
from collector.fastpath import Read
from collector.schema import REQUIRED
from txwatch.errors import InputError
from txwatch.model import Rejected
from txwatch.problems import did_you_mean

CHUNK = 65_536
SHOWN_COLUMNS = 12

_ALSO_CALLED = {
    "transaction_id": ("id", "txid", "tx_id", "trans_num", "payment_id", "reference"),
    "timestamp": ("time", "datetime", "date", "created_at", "event_time", "ts", "at"),
    "user_id": ("customer_id", "customer", "client_id", "account_id", "cardholder_id", "user", "payer_id"),
    "merchant_id": ("terminal_id", "merchant", "shop_id", "store_id", "seller_id", "payee_id", "vendor_id"),
    "amount": ("amt", "value", "total", "price", "sum"),
    "currency": ("ccy", "currency_code", "cur"),
}


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Some records: `rows` has the columns TRANSACTION and `row`, the record's number in the file."""

    rows: pl.DataFrame
    rejected: tuple[tuple[int, Rejected], ...]
    following: int
    """The number of the record after the last one in here."""


class Reader(Protocol):
    """Reads one kind of file."""

    def __call__(self, path: str, decoder: Decoder, start: int, size: int) -> Iterator[Chunk]:
        """Yield the records from number `start` on, at most `size` a chunk; raises InputError."""


def numbered(read: Read, first: int, count: int) -> Chunk:
    """Return the chunk of `count` records that begins at number `first`."""
    rows = read.rows.with_columns(pl.col("row").cast(pl.Int64) + first)
    rejected = tuple((row + first, why) for row, why in read.rejected)
    return Chunk(rows=rows, rejected=rejected, following=first + count)


def wanted_columns(name: str, columns: Sequence[str], decoder: Decoder) -> list[str]:
    """Return the columns to read, in the file's order; raises InputError where a required one is missing."""
    heads = {column.split(".")[0] for column in decoder.columns if column not in columns}
    wanted = [column for column in columns if column in decoder.columns or column in heads]
    missing = [field for field in REQUIRED if not _is_there(field, columns, decoder)]
    if missing:
        raise InputError(_what_is_missing(name, columns, missing))
    return wanted


def _is_there(field: str, columns: Sequence[str], decoder: Decoder) -> bool:
    column = decoder.schema.column(field)
    return field in decoder.schema.defaults or column in columns or column.split(".")[0] in columns


def _what_is_missing(name: str, columns: Sequence[str], missing: list[str]) -> str:
    shown = ", ".join(ascii(column).strip("'") for column in columns[:SHOWN_COLUMNS])
    more = ", ..." if len(columns) > SHOWN_COLUMNS else ""
    advice = " ".join(_advice(field, columns) for field in missing)
    return f"{name} needs {', '.join(missing)}; it has {shown}{more}: use {advice}"


def _advice(field: str, columns: Sequence[str]) -> str:
    like = _likely(field, columns)
    if like is None and field == "currency":
        return "--default currency=EUR"
    return f"--map {field}={like or 'COLUMN'}"


def _likely(field: str, columns: Sequence[str]) -> str | None:
    """The column that is probably meant."""
    by_letters = {column.lower().replace(" ", "_"): column for column in columns}
    for other in (field, *_ALSO_CALLED[field]):
        if other in by_letters:
            return by_letters[other]
    found = did_you_mean(field, columns)
    return found.split("`")[1] if found else None
