"""One micro-batch as conditions see it: columns by kind, and what was worked out already."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from zlib import crc32

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.rules.sql import Membership
from detectors.types import Flags, Floats, Rows32

SHORT_LIST = 16
"""Up to so many texts are looked for by their hashes, longer lists in a set."""


class Batch:
    """Columns of one frame (and features once they are known), each converted at most once.

    What several conditions share, such as `status = 'declined'`, is worked out once: `once` remembers
    it by its text.
    """

    def __init__(
        self, frame: pl.DataFrame, rows: Mapping[str, Rows32], lists: Mapping[str, frozenset[str]]
    ) -> None:
        """`rows` are the entities' row numbers by id column, for the columns whose rows are given."""
        self._rows = rows
        self._frame = frame
        self._lists = lists
        self._numbers: dict[str, Floats] = {}
        self._texts: dict[str, list[str | None]] = {}
        self._hashes: dict[str, npt.NDArray[np.uint64]] = {}
        self._flags: dict[tuple[str, bool], Flags] = {}

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._frame.height

    def add(self, features: Mapping[str, Floats]) -> None:
        """Make these columns readable too, numbers or flags (0 and 1); NaN is null."""
        self._numbers.update(features)

    def number(self, name: str) -> Floats:
        """Return a number column; null is NaN."""
        if name not in self._numbers:
            self._numbers[name] = self._frame[name].cast(pl.Float64).to_numpy()
        return self._numbers[name]

    def text(self, name: str) -> pl.Series:
        """Return a text (or time) column."""
        return self._frame[name]

    def texts(self, name: str) -> list[str | None]:
        """Return a text column as a list."""
        if name not in self._texts:
            self._texts[name] = self._frame[name].to_list()
        return self._texts[name]

    def codes(self, name: str) -> Floats:
        """Return a number for each text, NaN for null: the entity's row, or 32 bits of the text.

        Of 32 values two are taken for one in one of ten million windows.
        """
        rows = self._rows.get(name)
        if rows is not None:
            return np.where(rows < 0, np.nan, rows)
        if self._frame[name].null_count() == len(self):
            return np.full(len(self), np.nan)
        known = [text for text in self.texts(name) if text is not None]
        codes = np.fromiter(map(crc32, map(str.encode, known)), np.float64, count=len(known))
        if len(known) == len(self):
            return codes
        sparse = np.full(len(self), np.nan)
        sparse[self._frame[name].is_not_null().to_numpy()] = codes
        return sparse

    def flag(self, name: str, *, wanted: bool) -> Flags:
        """Return where a flag column is `wanted`; neither where it is null."""
        return self.once(name, wanted=wanted, work=lambda: self._flag_column(name, wanted=wanted))

    def member(self, asked: Membership, *, wanted: bool) -> Flags:
        """Return where a text is on the list, or (not `wanted`) where it is known and is not."""
        return self.once(asked.name, wanted=wanted, work=lambda: self._members(asked, wanted=wanted))

    def once(self, text: str, *, wanted: bool, work: Callable[[], Flags]) -> Flags:
        """Return where the condition of this text is true (or false), worked out by the first who asks."""
        found = self._flags.get((text, wanted))
        if found is None:
            found = self._flags[text, wanted] = work()
        return found

    def _flag_column(self, name: str, *, wanted: bool) -> Flags:
        if name in self._numbers:
            return as_flags(self._numbers[name] == float(wanted), len(self))
        column = self._frame[name].cast(pl.Boolean)
        return as_flags(column if wanted else ~column, len(self))

    def _members(self, asked: Membership, *, wanted: bool) -> Flags:
        values = self._lists[asked.list]
        if wanted and not self._may_be_listed(asked):
            return np.zeros(len(self), np.bool_)
        texts = self.texts(asked.column)
        return np.array([text is not None and (text in values) is wanted for text in texts], np.bool_)

    def _may_be_listed(self, asked: Membership) -> bool:
        """Whether the hash of any text is one of a short list's: nearly always no, in microseconds."""
        values = self._lists[asked.list]
        if len(values) > SHORT_LIST:
            return not values.isdisjoint(self.texts(asked.column))
        if self._frame[asked.column].null_count() == len(self):
            return False
        if asked.column not in self._hashes:
            self._hashes[asked.column] = self._frame[asked.column].hash().to_numpy()
        return any((self._hashes[asked.column] == one).any() for one in _hashes(values))


@lru_cache(maxsize=256)
def _hashes(texts: frozenset[str]) -> npt.NDArray[np.uint64]:
    return pl.Series(values=sorted(texts), dtype=pl.String).hash().to_numpy()


def as_flags(answer: object, height: int) -> Flags:
    """Return an answer (array, series with nulls, or one value) as an array of shape (height,)."""
    if isinstance(answer, pl.Series):
        answer = answer.cast(pl.Float64).to_numpy() == 1.0 if answer.null_count() else answer.to_numpy()
    array = np.asarray(answer, np.bool_)
    return array if array.shape == (height,) else np.broadcast_to(array.reshape(-1)[:1], height)
