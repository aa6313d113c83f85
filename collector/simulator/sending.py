"""A simulated stream into a Kafka topic at a given rate, as producers would send it: happening now.

Guarantee: what was counted as sent is acknowledged by all replicas.  A run that is repeated with the same
seed sends the same transactions again; they are duplicates for whoever reads them.
"""

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from collector.kafka.opening import Send
from collector.simulator.export import TIMES
from txwatch.ports import Clock

SLICES_PER_SECOND = 20
AT_ONCE = 5_000
"""Transactions sent together where no rate is given."""

KEY = "user_id"
"""What a producer would partition by: a user's transactions stay in order."""


def send_stream(tables: Iterator[pl.DataFrame], send: Send, clock: Clock, rate: float) -> None:
    """Send all rows, `rate` a second (0: as fast as they are taken), each with the time of its sending.

    Raises StoreBusyError where Kafka does not take them.
    """
    start, sent = clock.now(), 0
    for part in _parts(tables, max(1, int(rate / SLICES_PER_SECOND)) if rate else AT_ONCE):
        if rate and (early := sent / rate - (clock.now() - start).total_seconds()) > 0:
            clock.sleep(early)
        send(messages(part, clock.now()))
        sent += part.height


def messages(rows: pl.DataFrame, now: datetime) -> list[tuple[bytes, bytes]]:
    """Return rows as keys and JSON, all with the same time.

    Example:
        >>> from datetime import UTC
        >>> messages(pl.DataFrame({"user_id": ["u1"]}), datetime(2026, 3, 2, tzinfo=UTC))
        [(b'u1', b'{"user_id":"u1","timestamp":"2026-03-02T00:00:00.000Z"}')]
    """
    stamped = rows.with_columns(pl.lit(now).dt.strftime(TIMES).alias("timestamp"))
    values = stamped.write_ndjson().encode().splitlines()
    return list(zip((key.encode() for key in rows[KEY]), values, strict=True))


def _parts(tables: Iterator[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    return (part for table in tables for part in table.iter_slices(size))
