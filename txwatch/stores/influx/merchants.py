"""Hours of merchants: measurement `merchants`, bucket `metrics`.

    merchants,mb=0fa,partition=3,source=orders merchant_id="m1",count=12i,... 1700000000000000000

Tags are bounded: `mb` is the entity bucket of the merchant (see `entities`), whose id is a field.  A point
lies in its hour, as far from the start as the merchant's hash says, so merchants of a bucket do not meet.

Guarantee: an hour of a partition and merchant is one point, so writing it again replaces it.
"""

import hashlib
from datetime import datetime, timedelta
from functools import partial

import polars as pl

from txwatch.columns import MERCHANT_HOUR
from txwatch.model import Partition
from txwatch.stores.influx.conditions import between, equal, where
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.entities import entity_bucket
from txwatch.stores.influx.layout import METRICS
from txwatch.stores.influx.points import nanoseconds, point
from txwatch.stores.influx.refusals import write_what_is_kept
from txwatch.stores.influx.text import encode_tag
from txwatch.stores.influx.whole import whole_rows

MERCHANTS = "merchants"
HOUR = timedelta(hours=1)
HOURS_A_WRITE = 5_000

_HOUR_NANOSECONDS = 3_600_000_000_000
_KEY = ("source", "partition", "start", "merchant_id")
_FIGURES = {name: kind for name, kind in MERCHANT_HOUR.items() if name not in _KEY}
_TABLE = {
    "name": pl.String(),
    "tags": pl.String(),
    "time": pl.Int64(),
    "merchant_id": pl.String(),
    **_FIGURES,
}


def put_merchant_hours(connection: Connection, hours: pl.DataFrame) -> None:
    """Write hours (columns MERCHANT_HOUR)."""
    for part in hours.iter_slices(HOURS_A_WRITE):
        lines = pl.Series([merchant_line(row) for row in part.iter_rows(named=True)], dtype=pl.String)
        write_what_is_kept(partial(connection.write, METRICS), lines)


def read_merchant_hours(connection: Connection, partition: Partition, start: datetime) -> pl.DataFrame:
    """Return what is stored of one partition and hour (columns MERCHANT_HOUR)."""
    conditions = [
        *between(start, start + HOUR),
        *equal("source", encode_tag(partition.source)),
        *equal("partition", str(partition.partition)),
    ]
    columns = ", ".join(f'"{name}"' for name in ("merchant_id", *_FIGURES))
    select = f"SELECT {columns} FROM {MERCHANTS}{where(conditions)}"  # noqa: S608 - InfluxQL; values are quoted literals
    answer = connection.checked_rows(METRICS, select)
    if not answer:
        return pl.DataFrame(schema=MERCHANT_HOUR)
    key = {"source": partition.source, "partition": partition.partition, "start": start}
    literals = [pl.lit(value, dtype=MERCHANT_HOUR[name]).alias(name) for name, value in key.items()]
    whole = whole_rows(answer, _TABLE, _FIGURES)
    found = whole.with_columns(pl.col("merchant_id").fill_null(""), *literals)
    return found.select(list(MERCHANT_HOUR))


def merchant_line(hour: dict[str, object]) -> str:
    """Return an hour (columns MERCHANT_HOUR) as a line."""
    merchant, start = str(hour["merchant_id"]), hour["start"]
    assert isinstance(start, datetime)
    tags = {
        "mb": entity_bucket(merchant),
        "partition": str(hour["partition"]),
        "source": str(hour["source"]),
    }
    fields = {"merchant_id": merchant, **{name: hour[name] for name in _FIGURES}}
    return point(MERCHANTS, tags, fields, nanoseconds(start) + _offset(merchant))  # type: ignore[arg-type]  # the schema is numbers


def _offset(merchant: str) -> int:
    digest = hashlib.sha256(merchant.encode()).digest()
    return int.from_bytes(digest[-8:]) % _HOUR_NANOSECONDS
