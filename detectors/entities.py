"""Which row of the state arrays belongs to which entity.

Ids get rows in the order in which they are first seen, so the same stream always gives the same rows,
wherever batches are cut.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

NO_ENTITY = -1


class EntityIndex:
    """Entity id -> row, growing; one for each kind of entity (user, merchant, card, device, ...)."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._rows: dict[str, int] = {name: row for row, name in enumerate(ids)}

    def __len__(self) -> int:
        """Return how many entities are known; every row given out is below it."""
        return len(self._rows)

    def rows(self, ids: pl.Series) -> npt.NDArray[np.int32]:
        """Return the row of each id, in order, new ids getting new rows; null gives NO_ENTITY."""
        names = ids.to_list()
        found = list(map(self._rows.get, names))
        if None in found:
            found = [self._row(name) if row is None else row for name, row in zip(names, found, strict=True)]
        return np.array(found, dtype=np.int32)

    def ids(self) -> list[str]:
        """Return the ids in row order: what a snapshot keeps."""
        return list(self._rows)

    def _row(self, name: str | None) -> int:
        return NO_ENTITY if name is None else self._rows.setdefault(name, len(self._rows))
