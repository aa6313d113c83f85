"""Transactions once more, where one user's are found quickly: measurement `by_user`, bucket `transactions`.

    by_user,ub=c6c user_id="user-1",transaction_id="t9",merchant_id="m1",amount=12.5,... 1700000000000731042

InfluxDB has no index on fields: it finds one user by reading every row of the series that may hold them.
`ub`, the only tag, is the first digits of the id's SHA-256, which a dashboard computes as well, in Flux:
`strings.substring(v: hash.sha256(v: user), start: 0, end: 3)` with `contrib/qxip/hash`.

Guarantee: a row written again is the same point.  Below the millisecond of its event time stands a hash of
its position, so two rows would meet if they shared user bucket, millisecond and hash: about one pair in
100 years at 100 transactions a second.  The bucket's measurement `transactions` has every row.
"""

import hashlib
import zlib
from collections.abc import Iterable
from functools import partial

import polars as pl

from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import ENTITY_DIGITS, LAP, TRANSACTIONS
from txwatch.stores.influx.lines import MILLISECOND, escaped, present
from txwatch.stores.influx.refusals import write_what_is_kept

BY_USER = "by_user"
ROWS_A_WRITE = 5_000
TEXT_FIELDS = ("user_id", "transaction_id", "merchant_id", "currency", "status", "channel", "country")
"""What the page of a user shows; a row's other fields are in `transactions`."""


def put_by_user(connection: Connection, rows: pl.DataFrame) -> None:
    """Write rows (columns FEED), those of one series together."""
    for part in rows.iter_slices(ROWS_A_WRITE):
        write_what_is_kept(partial(connection.write, TRANSACTIONS), user_lines(part))


def user_lines(rows: pl.DataFrame) -> pl.Series:
    """Return one line for each row, by series; null fields are left out."""
    texts = (pl.format(f',{name}="{{}}"', escaped(rows, name)) for name in TEXT_FIELDS if present(rows, name))
    line = pl.concat_str(
        pl.format(f"{BY_USER},ub={{}} amount={{}}", "ub", "amount"),
        *texts,
        pl.format(" {}", pl.col("timestamp").dt.epoch("ms") * MILLISECOND + pl.col("place")),
        ignore_nulls=True,
    )
    places = rows.select("source", "partition", "sequence").iter_rows()
    prepared = rows.with_columns(
        pl.Series("ub", entity_buckets(rows["user_id"]), dtype=pl.String),
        pl.Series("place", [_number(place) for place in places], dtype=pl.Int64),
    )
    return prepared.sort("ub", maintain_order=True).select(line.alias("line"))["line"]


def entity_buckets(ids: Iterable[str]) -> list[str]:
    """Return the entity bucket of each id: the same in every process, in Flux, for ever."""
    return [entity_bucket(each) for each in ids]


def entity_bucket(entity_id: str) -> str:
    """Return the first digits of an id's SHA-256."""
    return hashlib.sha256(entity_id.encode()).hexdigest()[:ENTITY_DIGITS]


def _number(place: tuple[object, ...]) -> int:
    return zlib.crc32("\0".join(map(str, place)).encode()) % LAP
