"""Which row of the window arrays belongs to which entity, for the entities that rules alone know.

Cards, devices, addresses and pairs come and go without end.  An entity that has been silent for longer
than its longest window has nothing left in it, so its row can be given to another one.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from detectors.rules.kernels import NEVER, note_activity
from detectors.types import Rows32, Times

NO_ENTITY = -1
Id = str | int
"""Text, or for a pair of entities whose rows are given both rows in one number."""
Number = TypeVar("Number", bound=np.number[Any])

PRESENT_SHARE = 0.9
"""Below this quantile of the latest times nobody's clock is ahead: one wrong date makes nobody old."""


class Roster:
    """Entity id -> row; rows of silent entities are taken back by `forget`."""

    def __init__(self, ids: Iterable[Id] = (), active: Times | None = None) -> None:
        self._rows: dict[Id, int] = {name: row for row, name in enumerate(ids)}
        self._active = np.zeros(0, np.int64) if active is None else active

    def __len__(self) -> int:
        """Return how many entities have a row."""
        return len(self._rows)

    def rows(self, ids: Sequence[Id | None], times: Times) -> Rows32:
        """Return each id's row, new ids getting new rows; None gives NO_ENTITY."""
        known = self._rows
        rows = np.fromiter(
            (NO_ENTITY if name is None else known.setdefault(name, len(known)) for name in ids),
            dtype=np.int32,
            count=len(ids),
        )
        if len(known) > self._active.size:
            self._active = grown(self._active, len(known), NEVER)
        note_activity(times, rows, self._active)
        return rows

    def forget(self, silence_ms: int) -> npt.NDArray[np.intp] | None:
        """Drop who was silent for longer; return the rows that stay, in their new order, None if all do."""
        count = len(self._rows)
        if count == 0:
            return None
        active = self._active[:count]
        now = int(np.sort(active)[int(PRESENT_SHARE * (count - 1))])
        stay = np.flatnonzero(active >= now - silence_ms)
        if stay.size > count // 2:
            return None
        names = list(self._rows)
        self._rows = {names[row]: i for i, row in enumerate(stay)}
        self._active = active[stay]
        return stay

    def ids(self) -> list[Id]:
        """Return the ids in row order."""
        return list(self._rows)

    @property
    def active(self) -> Times:
        """The newest event time of each row, in milliseconds."""
        return self._active[: len(self._rows)]


def grown(array: npt.NDArray[Number], rows: int, fill: float) -> npt.NDArray[Number]:
    """Return the array with room for `rows` rows and as many again, the new ones filled."""
    larger = np.full((2 * rows, *array.shape[1:]), fill, dtype=array.dtype)
    larger[: array.shape[0]] = array
    return larger
