"""The numbers that a part of the engine remembers: named arrays, growing with what they describe.

An array has one row for each entity (or group, or segment) along its first axis, or a fixed shape.
Growth doubles the capacity, so that it costs nothing in the long run; a snapshot holds what is in use.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from txwatch.errors import SnapshotError

Array = npt.NDArray[Any]


class Table(msgspec.Struct, frozen=True):
    """The shape of one array: rows of `width` numbers along an axis that grows, or fixed rows."""

    axis: str
    """Name of what its rows are ("entity", "group", ...); empty for a fixed number of rows."""
    width: tuple[int, ...] = ()
    dtype: str = "f8"
    rows_each: int = 1
    """Rows for each member of the axis; all rows where the axis is empty."""
    fill: float = 0.0


class State:
    """Named arrays with room for every member of their axes."""

    def __init__(self, **tables: Table) -> None:
        self._tables = tables
        self._used: dict[str, int] = {}
        self._arrays = {name: self._new(table, 1) for name, table in tables.items()}

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def grow(self, **used: int) -> None:
        """Make room for so many members of each axis."""
        for axis, count in used.items():
            if count > self._used.get(axis, 0):
                self._used[axis] = count
                self._make_room(axis, count)

    def dump(self) -> dict[str, Array]:
        """Return the arrays, each cut to what is in use."""
        return {
            name: self._arrays[name][: self._rows(table, self._used.get(table.axis, 0))]
            for name, table in self._tables.items()
        }

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over a dump; raises SnapshotError where an array is missing or has another shape."""
        for name, table in self._tables.items():
            array = arrays.get(name)
            if array is None or not self._fits(table, array):
                raise SnapshotError(
                    f"the snapshot does not fit: array {name} is missing or has another shape"
                )
            if table.axis:
                self.grow(**{table.axis: len(array) // table.rows_each})
            self._arrays[name][: len(array)] = array

    def adopt(self, other: "State") -> bool:
        """Go on with the very arrays of a state that is used no longer; tell whether they fit.

        Where millions of numbers would be copied, transactions would wait.
        """
        tables, arrays, used = other.lent()
        if tables != self._tables:
            return False
        self._arrays, self._used = dict(arrays), dict(used)
        return True

    def lent(self) -> tuple[Mapping[str, Table], Mapping[str, Array], Mapping[str, int]]:
        """Return the shapes, the arrays themselves, and how much of each axis is in use."""
        return self._tables, self._arrays, self._used

    def nbytes(self) -> int:
        """Return the memory held, in bytes."""
        return sum(array.nbytes for array in self._arrays.values())

    def _make_room(self, axis: str, count: int) -> None:
        for name, table in self._tables.items():
            old = self._arrays[name]
            if table.axis == axis and len(old) < count * table.rows_each:
                grown = self._new(table, max(count, 2 * len(old) // table.rows_each))
                grown[: len(old)] = old
                self._arrays[name] = grown

    @staticmethod
    def _fits(table: Table, array: Array) -> bool:
        """Tell whether a dumped array is of this table's type and width, and as long where that is fixed."""
        same = array.dtype == np.dtype(table.dtype) and array.shape[1:] == table.width
        return same and (bool(table.axis) or len(array) == table.rows_each)

    @staticmethod
    def _rows(table: Table, count: int) -> int:
        return count * table.rows_each if table.axis else table.rows_each

    def _new(self, table: Table, count: int) -> Array:
        return np.full((self._rows(table, count), *table.width), table.fill, dtype=table.dtype)
