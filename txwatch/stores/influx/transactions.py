"""Transactions and their feed in InfluxDB.

Guarantee: a message is stored at least once and found once.  In which order: the rows of a chunk go to the
bucket `transactions`, then to the feed, one write in flight per partition, so that what a reader of the
feed sees is complete.  Twice: the feed's last row of a partition is known (read back when a partition is
new here or a write failed), rows at or below its sequence are redeliveries and dropped; a row written again
after a lost answer is the same point, or a later one in the feed that readers drop by its sequence.
Lost: nothing, as long as the caller repeats an `append` that raised.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from functools import partial
from itertools import repeat

import polars as pl

from txwatch.errors import RefusedRow, RowsRefusedError
from txwatch.model import Cursor, Partition
from txwatch.ports import Clock
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.feed import START, last_fed
from txwatch.stores.influx.layout import FEED, TRANSACTIONS
from txwatch.stores.influx.lines import TEXTS, transaction_lines
from txwatch.stores.influx.packed import feed_lines, pack
from txwatch.stores.influx.points import nanoseconds
from txwatch.stores.influx.refusals import body, write_what_is_taken

CHUNK = 5_000
"""Rows in one request: large enough to be fast, small enough to be answered well within the timeout."""

HOUR = 3_600_000_000_000
"""In nanoseconds."""

STORERS = 2
"""Writes to `transactions` at a time: their order does not matter, and a second one keeps InfluxDB busy."""

LONGEST = 300_000
"""Bytes of text in one row: packed and encoded they fit into one field, which InfluxDB bounds by 1 MiB."""


class Writer:
    """Appends rows; one of these per process, one process per partition.

    `kept` is how long the bucket keeps transactions, zero for ever.
    """

    def __init__(self, connection: Connection, clock: Clock, kept: timedelta) -> None:
        self._connection = connection
        self._clock = clock
        self._kept = kept
        self._last: dict[Partition, Cursor] = {}
        self._next_arrival = 0
        self._storers = ThreadPoolExecutor(max_workers=STORERS, thread_name_prefix="store")
        self._feeder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")

    def append(self, rows: pl.DataFrame) -> None:
        """Write rows as `TransactionStore.append` says.

        Raises RowsRefusedError after the others are stored.
        """
        partitions = [Partition(*key) for key in rows.select("source", "partition").unique().rows()]
        try:
            refused = self._write(rows, partitions)
        except BaseException:
            self.forget(partitions)
            raise
        if refused:
            raise RowsRefusedError(refused)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Know nothing about partitions that others may write, or that a lost write may have reached."""
        for each in partitions:
            self._last.pop(each, None)

    def close(self) -> None:
        """Give back the threads; safe to call twice."""
        self._storers.shutdown()
        self._feeder.shutdown()

    def _write(self, rows: pl.DataFrame, partitions: list[Partition]) -> list[RefusedRow]:
        """Write chunk by chunk: some go to `transactions` while earlier ones go to the feed, in order."""
        now = self._clock.now()
        refused, storable = without_unstorable(rows, now, self._kept)
        known = {each: self._last_of(each) for each in partitions}
        chunks = numbered(storable, known, self._first_arrival(known, now, rows.height)).iter_slices(CHUNK)
        storing = [self._storers.submit(self._store, chunk) for chunk in chunks]
        feeding: list[Future[None]] = []
        try:
            for each in storing:
                stored, not_stored = each.result()
                refused += not_stored
                feeding.append(self._feeder.submit(self._feed, stored))
                if len(feeding) > 1:
                    feeding[-2].result()
        finally:
            for left in storing:
                left.cancel()
            wait(storing)
            wait(feeding)
        for fed in feeding:
            fed.result()
        return refused

    def _first_arrival(self, last: Mapping[Partition, Cursor], now: datetime, count: int) -> int:
        """Let arrivals grow over all partitions of this process, and from one process to the next."""
        free = [self._next_arrival, *(cursor.arrival + 1 for cursor in last.values())]
        first = within_an_hour(max(nanoseconds(now), *free), count)
        self._next_arrival = first + count
        return first

    def _store(self, chunk: pl.DataFrame) -> tuple[pl.DataFrame, list[RefusedRow]]:
        write = partial(self._connection.write, TRANSACTIONS)
        return _split(chunk, write_what_is_taken(write, transaction_lines(chunk)))

    def _feed(self, chunk: pl.DataFrame) -> None:
        """Feed the rows that were not fed before, and remember the last of each partition."""
        fresh = chunk.filter(pl.col("arrival").is_not_null())
        if fresh.is_empty():
            return
        self._connection.write(FEED, body(feed_lines(fresh, pack(fresh))))
        last = fresh.group_by("source", "partition").agg(pl.col("arrival", "sequence").last())
        self._last |= {Partition(s, p): Cursor(arrival, sequence) for s, p, arrival, sequence in last.rows()}

    def _last_of(self, partition: Partition) -> Cursor:
        if partition not in self._last:
            self._last[partition] = last_fed(self._connection, partition) or START
        return self._last[partition]


def within_an_hour(first: int, count: int) -> int:
    """Return from when on `count` arrivals lie in one hour: `first`, or the next hour.

    InfluxDB's shards begin on the hour.  It writes to several shards in no particular order, so a reader
    could see the end of a write before its beginning, and pass it.
    """
    if first // HOUR == (first + count) // HOUR:
        return first
    return (first // HOUR + 1) * HOUR


def numbered(rows: pl.DataFrame, last: Mapping[Partition, Cursor], first: int) -> pl.DataFrame:
    """Return the rows with arrivals growing from `first` (nanoseconds since 1970 UTC).

    A row at or below its partition's last sequence was fed before; its arrival is null.
    """
    fed = pl.DataFrame(
        [(*each, cursor.sequence) for each, cursor in last.items()],
        schema={"source": pl.String, "partition": pl.Int32, "fed": pl.Int64},
        orient="row",
    )
    known = rows.join(fed, on=["source", "partition"], how="left", maintain_order="left")
    arrival = pl.when(pl.col("sequence") > pl.col("fed")).then(first + pl.int_range(pl.len()))
    return known.with_columns(arrival=arrival).drop("fed")


def without_unstorable(
    rows: pl.DataFrame, now: datetime, kept: timedelta
) -> tuple[list[RefusedRow], pl.DataFrame]:
    """Refuse at once what InfluxDB would refuse one by one; `kept` zero is for ever."""
    length = pl.sum_horizontal(pl.col(name).str.len_bytes() for name in TEXTS)
    too_long = rows.select(length > LONGEST).to_series()
    expired = (rows["timestamp"] <= now - kept) & ~too_long if kept else too_long & False
    refused = [
        *_refusals(rows.filter(too_long), repeat(f"its texts are longer than {LONGEST} bytes")),
        *_refusals(rows.filter(expired), repeat(f"its time is more than {kept.days} days ago")),
    ]
    return refused, rows.filter(~too_long & ~expired) if refused else rows


def _split(chunk: pl.DataFrame, refused: Mapping[int, str]) -> tuple[pl.DataFrame, list[RefusedRow]]:
    """Return the rows that were taken, and the others with their sentences."""
    if not refused:
        return chunk, []
    mask = pl.int_range(chunk.height, eager=True).is_in(list(refused))
    return chunk.filter(~mask), _refusals(chunk.filter(mask), refused.values())


def _refusals(rows: pl.DataFrame, sentences: Iterable[str]) -> list[RefusedRow]:
    keys = rows.select("source", "partition", "sequence").rows()
    return [RefusedRow(s, p, n, why) for (s, p, n), why in zip(keys, sentences, strict=False)]
