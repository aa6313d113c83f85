"""The feed in InfluxDB, read by arrival with a cursor for each partition.

Guarantee: a row is returned once per cursor.  A partition has one writer with one write in flight and
arrivals that grow, so nothing appears behind a cursor but rows that were already read; what was written
twice comes back with a sequence at or below one already returned, and is dropped here.

Cost: reading each partition from its own cursor costs a statement each, 0.4 ms in InfluxDB, too much for
hundreds.  So one statement reads what arrived anywhere after the newest cursor.  What that leaves out, rows
of another writer whose clock is behind or whose write took long, is found by the gap before the first row
of its partition, or because its last row lies between the cursors; those partitions are read by themselves.
InfluxDB decodes a block a partition to tell the last rows, so they are asked for once a second of arrivals,
and when nothing new came.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import polars as pl

from txwatch.columns import FEED as FEED_COLUMNS
from txwatch.columns import POSITION
from txwatch.model import Cursor, Partition
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import FEED
from txwatch.stores.influx.packed import FIELD, SELECT, first_value, unpack
from txwatch.stores.influx.text import decode_tag, encode_tag, influxql

START = Cursor(arrival=-1, sequence=-1)
SECOND = 1_000_000_000
IDLE = 3_600 * SECOND
"""Nanoseconds before the newest cursor: partitions that stand there are read by themselves."""

_SERIES_KEY = re.compile(rf"{FEED},partition=(\d+),source=(.*)", re.DOTALL)
_ESCAPED = re.compile(r"\\([,= ])")
_PLACE = ("source", "partition")

Cursors = Mapping[Partition, Cursor]


class Page(NamedTuple):
    """Rows read in one go, by arrival; `end` is where reading on must not look back from.

    `end` is None when every partition was read to its end.
    """

    rows: pl.DataFrame
    end: int | None


def read_feed(connection: Connection, after: Cursors, limit: int) -> pl.DataFrame:
    """Return at most `limit` rows (columns FEED) beyond the cursors, by (arrival, sequence)."""
    reached = dict(after)
    while cursors := {each: reached.get(each, START) for each in _partitions(connection)}:
        page = _page(connection, cursors, limit)
        fresh = without_redeliveries(page.rows, cursors)
        if page.end is None or not fresh.is_empty():
            return fresh.head(limit)
        reached |= {each: Cursor(_passed(page, each, last), last.sequence) for each, last in cursors.items()}
    return pl.DataFrame(schema=FEED_COLUMNS)


def last_fed(connection: Connection, partition: Partition) -> Cursor | None:
    """Return the last row of a partition, or None if there is none."""
    newest = f"SELECT {FIELD} FROM {FEED} WHERE {_of(partition)} ORDER BY time DESC LIMIT 1"  # noqa: S608 - InfluxQL; the source is a quoted literal
    (result,) = connection.results(FEED, newest)
    for series in result.get("series", ()):
        ((arrival, packed),) = series["values"]
        return Cursor(arrival, first_value(packed))
    return None


def without_redeliveries(rows: pl.DataFrame, cursors: Cursors) -> pl.DataFrame:
    """Return the rows whose sequence is above the cursor's and above all before them in their partition."""
    highest = pl.col("sequence").cum_max().shift(1).over(_PLACE).fill_null(-1)
    known = rows.join(_table(cursors), on=_PLACE, how="left", maintain_order="left")
    return known.filter(pl.col("sequence") > pl.max_horizontal("seen", highest)).drop("seen", "passed")


def _page(connection: Connection, cursors: Cursors, limit: int) -> Page:
    """Read beyond the newest cursor, and by themselves the partitions of which that leaves something out."""
    newest = max(cursor.arrival for cursor in cursors.values())
    rows = unpack(connection.rows(FEED, f"{SELECT} WHERE time > {newest} ORDER BY time LIMIT {limit}"))
    looks = len(cursors) > 1 and (rows.is_empty() or rows["arrival"][-1] // SECOND > newest // SECOND)
    lately = _ends(connection, newest - IDLE) if looks else pl.DataFrame()
    ends = [rows["arrival"][-1]] if rows.height == limit else []
    behind = _behind(rows, lately, cursors, newest)
    if behind:
        share = max(1, -(-2 * limit // len(behind)))
        own = unpack(connection.rows(FEED, ";".join(_statements(behind, newest, share))))
        full = own.group_by(_PLACE).agg(pl.len(), pl.col("arrival").max()).filter(pl.col("len") == share)
        rows, ends = pl.concat([own, rows]), [*ends, *full["arrival"]]
    rows = rows.join(_table(cursors), on=_PLACE, how="semi")  # who appeared meanwhile is read the next time
    end = min(ends, default=None)
    kept = rows if end is None else rows.filter(pl.col("arrival") <= end)
    return Page(kept.sort("arrival", *POSITION), end)


def _behind(
    rows: pl.DataFrame, lately: pl.DataFrame, cursors: Cursors, newest: int
) -> dict[Partition, Cursor]:
    """Return the partitions that may have rows between their cursor and the newest, with their cursors."""
    suspects = {each for each, cursor in cursors.items() if cursor.arrival < newest - IDLE}
    known = _table(cursors)
    fresh = rows.join(known, on=_PLACE, how="inner").filter(pl.col("sequence") > pl.col("seen"))
    firsts = fresh.group_by(_PLACE).agg(pl.col("sequence", "seen").first())
    suspects |= _places(firsts.filter(pl.col("sequence") != pl.col("seen") + 1))
    if not lately.is_empty():
        between = (pl.col("arrival") > pl.col("passed")) & (pl.col("arrival") <= newest)
        suspects |= _places(lately.join(known, on=_PLACE, how="inner").filter(between))
    return {each: cursors[each] for each in suspects if cursors[each].arrival < newest}


def _ends(connection: Connection, after: int) -> pl.DataFrame:
    """Return the last row of each partition that has one after this arrival."""
    order = "GROUP BY source, partition ORDER BY time DESC LIMIT 1"
    return unpack(connection.rows(FEED, f"{SELECT} WHERE time > {after} {order}"))


def _statements(behind: Cursors, newest: int, share: int) -> Iterable[str]:
    for partition, cursor in behind.items():
        span = f"time > {cursor.arrival} AND time <= {newest}"
        yield f"{SELECT} WHERE {_of(partition)} AND {span} ORDER BY time LIMIT {share}"


def _partitions(connection: Connection) -> list[Partition]:
    (result,) = connection.results(FEED, f"SHOW SERIES FROM {FEED}")
    keys = (key for series in result.get("series", ()) for (key,) in series["values"])
    found = (_SERIES_KEY.fullmatch(key) for key in keys)
    return [Partition(decode_tag(_ESCAPED.sub(r"\1", match[2])), int(match[1])) for match in found if match]


def _passed(page: Page, partition: Partition, cursor: Cursor) -> int:
    """Return how far reading came in a partition whose rows were all redeliveries."""
    own = (pl.col("source") == partition.source) & (pl.col("partition") == partition.partition)
    last = page.rows.filter(own)["arrival"].max()
    return max(last, cursor.arrival) if isinstance(last, int) else cursor.arrival


def _of(partition: Partition) -> str:
    return f"source = {influxql(encode_tag(partition.source))} AND \"partition\" = '{partition.partition}'"


def _table(cursors: Cursors) -> pl.DataFrame:
    schema = {"source": pl.String, "partition": pl.Int32, "passed": pl.Int64, "seen": pl.Int64}
    return pl.DataFrame([(*each, *cursor) for each, cursor in cursors.items()], schema=schema, orient="row")


def _places(rows: pl.DataFrame) -> set[Partition]:
    return {Partition(source, number) for source, number in rows.select(_PLACE).rows()}
