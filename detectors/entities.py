"""Which row of the state arrays belongs to which entity.

Ids get rows in the order in which they are first seen, so the same stream always gives the same rows,
wherever batches are cut.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.keytable import KeyTable, text_keys
from txwatch.errors import SnapshotError

NO_ENTITY = -1


class EntityIndex:
    """Entity id -> row, growing; one for each kind of entity (user, merchant, card, device, ...)."""

    def __init__(self, ids: Sequence[str] = ()) -> None:
        """Take over the ids of another index; raises SnapshotError when two of them have one key."""
        self._table = KeyTable()
        self._ids: list[str] = []
        if ids:
            self.rows(pl.Series(ids, dtype=pl.String))
        if len(self) != len(ids):
            raise SnapshotError("two entities of the snapshot have one key: start without it")

    def __len__(self) -> int:
        """Return how many entities are known; every row given out is below it."""
        return len(self._table)

    def rows(self, ids: pl.Series) -> npt.NDArray[np.int32]:
        """Return the row of each id, in order, new ids getting new rows; null gives NO_ENTITY."""
        rows, first = self._table.rows(*text_keys(ids))
        if first.size:
            self._ids += ids.gather(first).to_list()
        return rows

    def ids(self) -> list[str]:
        """Return the ids in row order: what a snapshot keeps."""
        return self._ids.copy()
