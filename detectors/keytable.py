"""Which row belongs to which 64-bit key: an open hash table that grows.

Keys of texts are their hashes: of a million texts, two are taken for one in one of thirty million feeds.
"""

import numpy as np
import polars as pl

from detectors.kernels.lookup import FREE, find_rows
from detectors.types import Flags, Rows32, Times


class KeyTable:
    """Key -> row; keys get rows in the order in which they are first seen."""

    def __init__(self) -> None:
        self._keys: Times = np.zeros(0, np.int64)
        self._table = np.full(2, FREE, np.int32)
        self._count = 0

    def __len__(self) -> int:
        """Return how many keys have a row."""
        return self._count

    @property
    def keys(self) -> Times:
        """The key of each row: shape (rows,)."""
        return self._keys[: self._count]

    def rows(self, keys: Times, present: Flags) -> tuple[Rows32, Times]:
        """Return each key's row, -1 where it is not `present`, and where each new row was first seen."""
        self._make_room(self._count + len(keys))
        rows, first = np.empty(len(keys), np.int32), np.empty(len(keys), np.int64)
        before = self._count
        self._count = find_rows(keys, present, self._table, self._keys, before, rows, first)
        return rows, first[: self._count - before]

    def keep(self, rows: Times) -> None:
        """Keep the keys of these rows only, in this order."""
        self._keys[: rows.size] = self._keys[rows]
        self._count = rows.size
        self._fill()

    def _make_room(self, rows: int) -> None:
        if rows > self._keys.size:
            larger = np.zeros(2 * rows, np.int64)
            larger[: self._count] = self.keys
            self._keys = larger
            self._table = np.empty(1 << (2 * larger.size).bit_length(), np.int32)
            self._fill()

    def _fill(self) -> None:
        self._table[:] = FREE
        keys = self.keys.copy()
        everyone = np.ones(keys.size, np.bool_)
        rows, first = np.empty(keys.size, np.int32), np.empty(keys.size, np.int64)
        find_rows(keys, everyone, self._table, self._keys, 0, rows, first)


def text_keys(texts: pl.Series) -> tuple[Times, Flags]:
    """Return a key for each text, and where there is one."""
    keys = np.require(texts.hash().to_numpy().view(np.int64), requirements=["C", "W"])
    if texts.null_count():
        return keys, np.require(texts.is_not_null().to_numpy(), requirements=["C", "W"])
    return keys, np.ones(len(texts), np.bool_)
