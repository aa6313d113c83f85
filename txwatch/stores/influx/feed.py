"""The feed in InfluxDB, read by arrival with a cursor for each partition.

Guarantee: a row is returned once per cursor.  A partition has one writer with one write in flight and
arrivals that grow, so nothing appears behind a cursor but rows that were already read; what was written
twice comes back with a sequence at or below one already returned, and is dropped here.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from txwatch.columns import FEED as FEED_COLUMNS
from txwatch.columns import POSITION
from txwatch.model import Cursor, Partition
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import FEED
from txwatch.stores.influx.packed import FIELD, first_value, unpack
from txwatch.stores.influx.text import decode_tag, encode_tag, influxql

START = Cursor(arrival=-1, sequence=-1)
_SERIES_KEY = re.compile(rf"{FEED},(partition=(\d+),source=(.*))", re.DOTALL)
_ESCAPED = re.compile(r"\\([,= ])")


class Page(NamedTuple):
    """Rows read in one request, by partition and arrival; `end` is where reading on must not look back from.

    `end` is None when every partition was read to its end.
    """

    rows: pl.DataFrame
    end: int | None


def read_feed(connection: Connection, after: Mapping[Partition, Cursor], limit: int) -> pl.DataFrame:
    """Return at most `limit` rows (columns FEED) beyond the cursors, by (arrival, sequence)."""
    series = feed_series(connection)
    cursors = {partition: after.get(partition, START) for partition in series.values()}
    while cursors:
        page = _page(connection, series, cursors, limit)
        fresh = without_redeliveries(page.rows, cursors)
        if page.end is None or not fresh.is_empty():
            return fresh.sort("arrival", *POSITION).head(limit).select(list(FEED_COLUMNS))
        cursors = {
            each: Cursor(_passed(page, each, cursor), cursor.sequence) for each, cursor in cursors.items()
        }
    return pl.DataFrame(schema=FEED_COLUMNS)


def last_fed(connection: Connection, partition: Partition) -> Cursor | None:
    """Return the last row of a partition, or None if there is none."""
    (result,) = connection.results(FEED, f"{_select(partition)} ORDER BY time DESC LIMIT 1")
    for series in result.get("series", ()):
        ((arrival, packed),) = series["values"]
        return Cursor(arrival, first_value(packed))
    return None


def feed_series(connection: Connection) -> dict[str, Partition]:
    """Return the partitions in the feed, by the text that InfluxDB's CSV has for their tags."""
    (result,) = connection.results(FEED, f"SHOW SERIES FROM {FEED}")
    keys = (key for series in result.get("series", ()) for (key,) in series["values"])
    found = (_SERIES_KEY.fullmatch(key) for key in keys)
    return {match[1]: Partition(_source(match[3]), int(match[2])) for match in found if match}


def without_redeliveries(rows: pl.DataFrame, cursors: Mapping[Partition, Cursor]) -> pl.DataFrame:
    """Return the rows whose sequence is above the cursor's and above all before them in their partition."""
    seen = pl.DataFrame(
        [(*partition, cursor.sequence) for partition, cursor in cursors.items()],
        schema={"source": pl.String, "partition": pl.Int32, "seen": pl.Int64},
        orient="row",
    )
    highest = pl.col("sequence").cum_max().shift(1).over("source", "partition").fill_null(-1)
    known = rows.join(seen, on=["source", "partition"], how="left", maintain_order="left")
    return known.filter(pl.col("sequence") > pl.max_horizontal("seen", highest)).drop("seen")


def _page(
    connection: Connection, series: Mapping[str, Partition], cursors: Mapping[Partition, Cursor], limit: int
) -> Page:
    """Read every partition a share of the limit, and keep what lies before the first end of a full share."""
    share = min(limit, -(-2 * limit // len(cursors)))
    statements = [_next(partition, cursor, share) for partition, cursor in cursors.items()]
    rows = _positioned(unpack(connection.rows(FEED, ";".join(statements))), series)
    ends = rows.group_by("source", "partition").agg(pl.len(), pl.col("arrival").max())
    end = ends.filter(pl.col("len") == share)["arrival"].min()
    if not isinstance(end, int):
        return Page(rows, None)
    return Page(rows.filter(pl.col("arrival") <= end), end)


def _passed(page: Page, partition: Partition, cursor: Cursor) -> int:
    """Return how far reading came in a partition whose rows were all redeliveries."""
    own = (pl.col("source") == partition.source) & (pl.col("partition") == partition.partition)
    last = page.rows.filter(own)["arrival"].max()
    return last if isinstance(last, int) else cursor.arrival


def _positioned(rows: pl.DataFrame, series: Mapping[str, Partition]) -> pl.DataFrame:
    keys = list(series)
    sources = [series[key].source for key in keys]
    numbers = [series[key].partition for key in keys]
    return rows.with_columns(
        source=pl.col("tags").replace_strict(keys, sources, return_dtype=pl.String),
        partition=pl.col("tags").replace_strict(keys, numbers, return_dtype=pl.Int32),
    )


def _next(partition: Partition, cursor: Cursor, count: int) -> str:
    order = f"GROUP BY source, partition ORDER BY time LIMIT {count}"
    return f"{_select(partition)} AND time > {cursor.arrival} {order}"


def _select(partition: Partition) -> str:
    source = influxql(encode_tag(partition.source))
    own = f"source = {source} AND \"partition\" = '{partition.partition}'"
    return f"SELECT {FIELD} FROM {FEED} WHERE {own}"  # noqa: S608 - InfluxQL; the source is a quoted literal


def _source(escaped: str) -> str:
    return decode_tag(_ESCAPED.sub(r"\1", escaped))
