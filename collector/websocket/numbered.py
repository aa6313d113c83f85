"""Numbered messages decoded: what one partition of a source gave."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from collector.decode import Decoder
from txwatch.columns import POSITION, TRANSACTION, frame
from txwatch.model import Partition, Quarantined, Transaction

Decoded = tuple[pl.DataFrame, tuple[Quarantined, ...]]
NO_ROWS = pl.DataFrame(schema=POSITION | TRANSACTION)


def decoded(
    partition: Partition, messages: Sequence[tuple[int, bytes]], decoder: Decoder, now: datetime
) -> Decoded:
    """Return the good ones of (sequence, message) as rows, and the others for the quarantine."""
    numbers: list[int] = []
    taken: list[Transaction] = []
    rejected: list[Quarantined] = []
    for sequence, message in messages:
        result = decoder.decode(message)
        if isinstance(result, Transaction):
            numbers.append(sequence)
            taken.append(result)
        else:
            rejected.append(
                Quarantined(
                    source=partition.source,
                    partition=partition.partition,
                    sequence=sequence,
                    received_at=now,
                    rejected=result,
                )
            )
    return _rows(partition, numbers, taken), tuple(rejected)


def _rows(partition: Partition, numbers: list[int], taken: list[Transaction]) -> pl.DataFrame:
    if not taken:
        return NO_ROWS
    position = {
        "source": [partition.source] * len(numbers),
        "partition": [partition.partition] * len(numbers),
        "sequence": numbers,
    }
    return pl.DataFrame(position, schema=POSITION).hstack(frame(taken))
