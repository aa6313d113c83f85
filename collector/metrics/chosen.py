"""Which values get windows of their own: all of a few channels, and the merchants that prove busy.

A choice is for good (sticky), and there are at most so many in a lifetime, because each is a series of its
own in the store for ever.  A merchant's windows begin with the first full minute after it was chosen, so
that none of its windows is a part of one.  What is chosen is kept with the service's cursors.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

UNKNOWN = "unknown"
OTHER = "other"
NOT_CHOSEN = -1

Codes = npt.NDArray[np.int64]


class ChoiceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many values get windows of their own.

    A merchant is chosen when it makes at least `share` of `review` transactions in a row (all partitions
    together), the busiest `at_once` of those first, until there are `merchants`.
    """

    channels: int = 32
    countries: int = 250
    merchants: int = 100
    review: int = 10_000
    share: float = 0.005
    at_once: int = 20


class Words:
    """The values of a dimension with few of them: numbered as they come, up to a cap, then `other`."""

    def __init__(self, cap: int, known: Sequence[str] = ()) -> None:
        self.values = [OTHER]
        self._cap = cap
        self._codes = _Codes(0, {OTHER: 0})
        for value in known:
            self.add(value)

    def codes(self, values: Sequence[str]) -> Codes:
        """Return the number of each value."""
        for value in sorted(set(values).difference(self._codes)):
            if len(self.values) <= self._cap:
                self.add(value)
        return np.array(list(map(self._codes.__getitem__, values)), dtype=np.int64)

    def add(self, value: str) -> int:
        """Return the number of a value that has windows, whatever the cap."""
        if value not in self._codes:
            self._codes[value] = len(self.values)
            self.values.append(value)
        return self._codes[value]


class Merchants:
    """The chosen merchants, each from its first counted moment (milliseconds since 1970)."""

    def __init__(self, settings: ChoiceSettings, since: Mapping[str, int]) -> None:
        self.since = dict(since)
        self.values = list(since)
        self._settings = settings
        self._codes = _Codes(NOT_CHOSEN, {name: n for n, name in enumerate(since)})
        self._starts = np.array(list(since.values()), dtype=np.int64)
        self._tally: Counter[str] = Counter()
        self._seen = 0
        self._newest = 0

    def codes(self, names: Sequence[str], times: npt.NDArray[np.int64]) -> Codes:
        """Return the number of each merchant that is counted at its time, and note how busy all are."""
        self._observe(names, times)
        if not self._codes:
            return np.full(len(names), NOT_CHOSEN, dtype=np.int64)
        codes = np.array(list(map(self._codes.__getitem__, names)), dtype=np.int64)
        return np.where(times >= self._starts[codes], codes, NOT_CHOSEN)

    def number(self, name: str) -> int:
        """Return the number of a merchant, NOT_CHOSEN for others."""
        return self._codes.get(name, NOT_CHOSEN)

    def review(self) -> None:
        """Choose the busiest of the last transactions, when there were enough and while there is room."""
        if self._seen < self._settings.review:
            return
        needed = self._settings.share * self._seen
        ranked = sorted(self._tally.items(), key=lambda item: (-item[1], item[0]))
        busy = [name for name, count in ranked if count >= needed and name not in self.since]
        room = max(0, self._settings.merchants - len(self.since))
        self._choose(busy[: min(room, self._settings.at_once)])
        self._tally.clear()
        self._seen = 0

    def _observe(self, names: Sequence[str], times: npt.NDArray[np.int64]) -> None:
        self._newest = max(self._newest, int(times.max(initial=0)))
        if len(self.since) < self._settings.merchants:
            self._tally.update(names)
            self._seen += len(names)

    def _choose(self, names: Sequence[str]) -> None:
        start = (self._newest // 60_000 + 1) * 60_000
        for name in names:
            self._codes[name] = len(self.values)
            self.values.append(name)
            self.since[name] = start
        self._starts = np.array(list(self.since.values()), dtype=np.int64)


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen so far, to be kept."""

    channels: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    merchants: dict[str, int] = {}


class _Codes(dict[str, int]):
    """Numbers of values; what is not in it has the number `missing`, without being put in."""

    def __init__(self, missing: int, known: Mapping[str, int]) -> None:
        super().__init__(known)
        self._missing = missing

    def __missing__(self, value: str) -> int:
        return self._missing
