"""Which row of the window arrays belongs to which entity, for the entities that rules alone know.

Cards, devices, addresses and pairs come and go without end.  An entity that has been silent for longer
than its longest window has nothing left in it, so its row can be given to another one.

Entities are told apart by 64 bits: of a million, two are taken for one in one of thirty million feeds.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.rules.kernels import NEVER
from detectors.rules.roster_kernels import find_rows, note_activity
from detectors.types import Flags, Rows32, Times

NO_ENTITY = -1
PRESENT_SHARE = 0.9
"""Below this quantile of the latest times nobody's clock is ahead: one wrong date makes nobody old."""

Number = TypeVar("Number", bound=np.number[Any])
Ids = pl.Series | npt.NDArray[np.int64]
"""Texts (null for none), or one number for each entity (negative for none)."""


class Roster:
    """Entity id -> row; rows of silent entities are taken back by `forget`."""

    def __init__(self, ids: Sequence[str] | Sequence[int] = (), active: Times | None = None) -> None:
        """Take over what `ids` and `active` of another roster returned."""
        self._keys: Times = np.zeros(0, np.int64)
        self._table = np.full(2, NO_ENTITY, np.int32)
        self._active: Times = np.zeros(0, np.int64)
        self._texts: list[str] = []
        self._count = 0
        if len(ids):
            known = pl.Series(ids, dtype=pl.String) if isinstance(ids[0], str) else np.array(ids, np.int64)
            self.rows(known, np.full(len(ids), NEVER, np.int64) if active is None else active)

    def __len__(self) -> int:
        """Return how many entities have a row."""
        return self._count

    def rows(self, ids: Ids, times: Times) -> Rows32:
        """Return each id's row, new ids getting new rows; no id gives NO_ENTITY."""
        keys, present = _keys(ids)
        self._make_room(self._count + len(keys))
        rows = np.empty(len(keys), np.int32)
        first = np.empty(len(keys), np.int64)
        before = self._count
        self._count = find_rows(keys, present, self._table, self._keys, before, rows, first)
        if isinstance(ids, pl.Series) and self._count > before:
            texts = ids.to_list()
            self._texts += [texts[i] for i in first[: self._count - before]]
        note_activity(times, rows, self._active)
        return rows

    def forget(self, silence_ms: int) -> npt.NDArray[np.intp] | None:
        """Drop who was silent for longer; return the rows that stay, in their new order, None if all do."""
        if not self._count:
            return None
        active = self._active[: self._count].copy()
        now = int(np.sort(active)[int(PRESENT_SHARE * (self._count - 1))])
        stay = np.flatnonzero(active >= now - silence_ms)
        if stay.size > self._count // 2:
            return None
        self._keys[: stay.size] = self._keys[stay]
        self._active[: self._count] = NEVER
        self._active[: stay.size] = active[stay]
        self._texts = [self._texts[row] for row in stay] if self._texts else []
        self._count = stay.size
        self._fill_table()
        return stay

    def ids(self) -> list[str] | list[int]:
        """Return the ids in row order."""
        numbers: list[int] = self._keys[: self._count].tolist()
        return self._texts or numbers

    @property
    def active(self) -> Times:
        """The newest event time of each row, in milliseconds."""
        return self._active[: self._count]

    def _make_room(self, rows: int) -> None:
        if rows > self._keys.size:
            self._keys = grown(self._keys, rows, 0)
            self._active = grown(self._active, rows, NEVER)
            self._table = np.empty(1 << (2 * self._keys.size).bit_length(), np.int32)
            self._fill_table()

    def _fill_table(self) -> None:
        self._table[:] = NO_ENTITY
        keys = self._keys[: self._count].copy()
        everyone = np.ones(keys.size, np.bool_)
        rows, first = np.empty(keys.size, np.int32), np.empty(keys.size, np.int64)
        find_rows(keys, everyone, self._table, self._keys, 0, rows, first)


def grown(array: npt.NDArray[Number], rows: int, fill: float) -> npt.NDArray[Number]:
    """Return the array with room for `rows` rows and as many again, the new ones filled."""
    larger = np.full((2 * rows, *array.shape[1:]), fill, dtype=array.dtype)
    larger[: array.shape[0]] = array
    return larger


def _keys(ids: Ids) -> tuple[Times, Flags]:
    if not isinstance(ids, pl.Series):
        return ids, ids >= 0
    keys = np.require(ids.hash().to_numpy().view(np.int64), requirements=["C", "W"])
    if ids.null_count():
        return keys, np.require(ids.is_not_null().to_numpy(), requirements=["C", "W"])
    return keys, np.ones(len(ids), np.bool_)
