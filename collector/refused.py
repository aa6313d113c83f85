"""Rows that a store will never take, as records for the quarantine."""

from datetime import datetime

import msgspec
import polars as pl

from collector.decode import rejected
from txwatch.columns import TRANSACTION
from txwatch.errors import RefusedRow
from txwatch.model import Quarantined


def refused_record(refused: RefusedRow, rows: pl.DataFrame, now: datetime) -> Quarantined:
    """Return the record of a refused row: what is kept is the transaction as JSON by our own field names."""
    is_it = (
        (pl.col("source") == refused.source)
        & (pl.col("partition") == refused.partition)
        & (pl.col("sequence") == refused.sequence)
    )
    found = rows.filter(is_it).select(*TRANSACTION).rows(named=True)
    said = {name: value for name, value in (found[0] if found else {}).items() if value is not None}
    return Quarantined(
        source=refused.source,
        partition=refused.partition,
        sequence=refused.sequence,
        received_at=now,
        rejected=rejected("store_refused", refused.sentence, msgspec.json.encode(said)),
    )
