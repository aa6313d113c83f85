"""Which row of the window arrays belongs to which entity, for the entities that rules alone know.

Cards, devices, addresses and pairs come and go without end.  An entity that has been silent for longer
than its longest window has nothing left in it, so its row can be given to another one.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.keytable import KeyTable, text_keys
from detectors.rules.kernels import NEVER
from detectors.rules.roster_kernels import note_activity
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
        self._table = KeyTable()
        self._active: Times = np.zeros(0, np.int64)
        self._texts: list[str] = []
        if len(ids):
            known = pl.Series(ids, dtype=pl.String) if isinstance(ids[0], str) else np.array(ids, np.int64)
            self.rows(known, np.full(len(ids), NEVER, np.int64) if active is None else active)

    def __len__(self) -> int:
        """Return how many entities have a row."""
        return len(self._table)

    def rows(self, ids: Ids, times: Times) -> Rows32:
        """Return each id's row, new ids getting new rows; no id gives NO_ENTITY."""
        rows, first = self._table.rows(*_keys(ids))
        if isinstance(ids, pl.Series) and first.size:
            self._texts += ids.gather(first).to_list()
        if len(self) > self._active.size:
            self._active = grown(self._active, len(self), NEVER)
        note_activity(times, rows, self._active)
        return rows

    def forget(self, silence_ms: int) -> npt.NDArray[np.intp] | None:
        """Drop who was silent for longer; return the rows that stay, in their new order, None if all do."""
        if not len(self):
            return None
        active = self.active.copy()
        now = int(np.sort(active)[int(PRESENT_SHARE * (active.size - 1))])
        stay = np.flatnonzero(active >= now - silence_ms)
        if stay.size > active.size // 2:
            return None
        self._active[: active.size] = NEVER
        self._active[: stay.size] = active[stay]
        self._texts = [self._texts[row] for row in stay] if self._texts else []
        self._table.keep(stay)
        return stay

    def ids(self) -> list[str] | list[int]:
        """Return the ids in row order."""
        numbers: list[int] = self._table.keys.tolist()
        return self._texts or numbers

    @property
    def active(self) -> Times:
        """The newest event time of each row, in milliseconds."""
        return self._active[: len(self)]


def grown(array: npt.NDArray[Number], rows: int, fill: float) -> npt.NDArray[Number]:
    """Return the array with room for `rows` rows and as many again, the new ones filled."""
    larger = np.full((2 * rows, *array.shape[1:]), fill, dtype=array.dtype)
    larger[: array.shape[0]] = array
    return larger


def _keys(ids: Ids) -> tuple[Times, Flags]:
    return text_keys(ids) if isinstance(ids, pl.Series) else (ids, ids >= 0)
