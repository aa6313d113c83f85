"""Transactions and their feed in InfluxDB.

Guarantee: a message is stored at least once and found once.  In which order: the rows of a chunk go to the
bucket `transactions`, then to the feed, one write in flight per partition, so that what a reader of the
feed sees is complete.  Twice: the feed's last row of a partition is known (read back when a partition is
new here or a write failed), rows at or below its sequence are redeliveries and dropped; a row written again
after a lost answer is the same point, or a later one in the feed that readers drop by its sequence.
Lost: nothing, as long as the caller repeats an `append` that raised.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
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
from txwatch.stores.influx.lines import transaction_lines
from txwatch.stores.influx.packed import feed_lines, pack
from txwatch.stores.influx.points import nanoseconds
from txwatch.stores.influx.refusals import write_what_is_taken

CHUNK = 5_000
"""Rows in one request: large enough to be fast, small enough to be answered well within the timeout."""


class Writer:
    """Appends rows; one of these per process, one process per partition.

    `kept` is how long the bucket keeps transactions, zero for ever.
    """

    def __init__(self, connection: Connection, clock: Clock, kept: timedelta) -> None:
        self._connection = connection
        self._clock = clock
        self._kept = kept
        self._last: dict[Partition, Cursor] = {}
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
        """Give back the thread; safe to call twice."""
        self._feeder.shutdown()

    def _write(self, rows: pl.DataFrame, partitions: list[Partition]) -> list[RefusedRow]:
        """Write chunk by chunk: one chunk goes to the feed while the next goes to `transactions`."""
        now = self._clock.now()
        refused, keepable = self._without_expired(rows, now)
        known = {each: self._last_of(each) for each in partitions}
        feeding: Future[list[RefusedRow]] | None = None
        for chunk in numbered(keepable, known, nanoseconds(now)).iter_slices(CHUNK):
            stored, not_stored = self._store(chunk)
            refused += not_stored + (feeding.result() if feeding else [])
            feeding = self._feeder.submit(self._feed, stored)
        return refused + (feeding.result() if feeding else [])

    def _store(self, chunk: pl.DataFrame) -> tuple[pl.DataFrame, list[RefusedRow]]:
        write = partial(self._connection.write, TRANSACTIONS)
        return _split(chunk, write_what_is_taken(write, transaction_lines(chunk)))

    def _feed(self, chunk: pl.DataFrame) -> list[RefusedRow]:
        """Feed the rows that were not fed before, and remember the last of each partition."""
        fresh = chunk.filter(pl.col("arrival").is_not_null())
        write = partial(self._connection.write, FEED)
        _, refused = _split(fresh, write_what_is_taken(write, feed_lines(fresh, pack(fresh))))
        last = fresh.group_by("source", "partition").agg(pl.col("arrival", "sequence").last())
        self._last |= {Partition(s, p): Cursor(arrival, sequence) for s, p, arrival, sequence in last.rows()}
        return refused

    def _last_of(self, partition: Partition) -> Cursor:
        if partition not in self._last:
            self._last[partition] = last_fed(self._connection, partition) or START
        return self._last[partition]

    def _without_expired(self, rows: pl.DataFrame, now: datetime) -> tuple[list[RefusedRow], pl.DataFrame]:
        """Refuse at once what InfluxDB would refuse one by one."""
        if not self._kept:
            return [], rows
        expired = rows["timestamp"] <= now - self._kept
        sentence = f"its time is more than the {self._kept.days} days ago that the store keeps"
        return _refusals(rows.filter(expired), repeat(sentence)), rows.filter(~expired)


def numbered(rows: pl.DataFrame, last: Mapping[Partition, Cursor], now: int) -> pl.DataFrame:
    """Return the rows with their arrivals: growing in each partition, never before `now` (nanoseconds).

    A row at or below the partition's last sequence was fed before; its arrival is null.
    """
    first = pl.DataFrame(
        [(*each, cursor.sequence, max(now, cursor.arrival + 1)) for each, cursor in last.items()],
        schema={"source": pl.String, "partition": pl.Int32, "last": pl.Int64, "first": pl.Int64},
        orient="row",
    )
    rank = pl.int_range(pl.len()).over("source", "partition")
    fresh = pl.when(pl.col("sequence") > pl.col("last")).then(pl.col("first") + rank)
    known = rows.join(first, on=["source", "partition"], how="left", maintain_order="left")
    return known.with_columns(arrival=fresh).drop("last", "first")


def _split(chunk: pl.DataFrame, refused: Mapping[int, str]) -> tuple[pl.DataFrame, list[RefusedRow]]:
    """Return the rows that were taken, and the others with their sentences."""
    if not refused:
        return chunk, []
    mask = pl.int_range(chunk.height, eager=True).is_in(list(refused))
    return chunk.filter(~mask), _refusals(chunk.filter(mask), refused.values())


def _refusals(rows: pl.DataFrame, sentences: Iterable[str]) -> list[RefusedRow]:
    keys = rows.select("source", "partition", "sequence").rows()
    return [RefusedRow(s, p, n, why) for (s, p, n), why in zip(keys, sentences, strict=False)]
