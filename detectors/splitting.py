"""Where feed rows stand to cursors: which of them were scored before, and which are new.  Pure."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from detectors.types import Flags
from txwatch.model import Cursor, Partition


def split_at(rows: pl.DataFrame, committed: Mapping[Partition, Cursor]) -> list[tuple[pl.DataFrame, bool]]:
    """Split rows into the part whose results are committed already and the part that is new, in this order.

    Of each partition the committed rows are a prefix, since they were once read in this order.  Of several
    they need not be: what is new in one may have arrived before what is known of another.  The known ones
    come first then, too, as they did before.
    """
    known = pl.Series(_known(rows, committed), dtype=pl.Boolean)
    parts = [(rows.filter(known), True), (rows.filter(~known), False)]
    return [(part, is_known) for part, is_known in parts if not part.is_empty()]


def until(rows: pl.DataFrame, cursors: Mapping[Partition, Cursor]) -> pl.DataFrame:
    """Return the rows up to these cursors, in the same order; of each partition they are a prefix."""
    return rows.filter(pl.Series(_known(rows, cursors), dtype=pl.Boolean))


def is_behind(cursors: Mapping[Partition, Cursor], others: Mapping[Partition, Cursor]) -> bool:
    """Tell whether cursors are before others in some partition."""
    nowhere = Cursor(0, -1)
    return any(cursors.get(part, nowhere).sequence < other.sequence for part, other in others.items())


def last_cursors(rows: pl.DataFrame) -> dict[Partition, Cursor]:
    """Return each partition's cursor after these feed rows."""
    last = rows.group_by("source", "partition").agg(pl.col("arrival").last(), pl.col("sequence").last())
    return {
        Partition(source, partition): Cursor(arrival, sequence)
        for source, partition, arrival, sequence in last.iter_rows()
    }


def _known(rows: pl.DataFrame, cursors: Mapping[Partition, Cursor]) -> Flags:
    if not cursors:
        return np.zeros(rows.height, dtype=bool)
    columns = rows.select("source", "partition", "sequence").iter_rows()
    known = (
        (cursor := cursors.get(Partition(source, partition))) is not None and sequence <= cursor.sequence
        for source, partition, sequence in columns
    )
    return np.fromiter(known, dtype=bool, count=rows.height)
