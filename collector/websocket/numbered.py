"""Numbered messages decoded: what one partition of a source gave."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from collector.live import Decode
from txwatch.columns import POSITION, TRANSACTION
from txwatch.model import Partition, Quarantined

Decoded = tuple[pl.DataFrame, tuple[Quarantined, ...]]
NO_ROWS = pl.DataFrame(schema=POSITION | TRANSACTION)


def decoded(
    partition: Partition, messages: Sequence[tuple[int, bytes]], decode: Decode, now: datetime
) -> Decoded:
    """Return the good ones of (sequence, message) as rows, and the others for the quarantine."""
    if not messages:
        return NO_ROWS, ()
    sequences = [sequence for sequence, _ in messages]
    read = decode([message for _, message in messages])
    numbers = pl.Series("sequence", sequences, POSITION["sequence"])[read.rows["row"]]
    rows = read.rows.with_columns(
        pl.lit(partition.source, POSITION["source"]).alias("source"),
        pl.lit(partition.partition, POSITION["partition"]).alias("partition"),
        numbers,
    )
    rejected = tuple(
        Quarantined(
            source=partition.source,
            partition=partition.partition,
            sequence=sequences[place],
            received_at=now,
            rejected=why,
        )
        for place, why in read.rejected
    )
    return rows.select(*POSITION, *TRANSACTION), rejected
