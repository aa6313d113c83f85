"""Which entities' traffic is watched: a choice that is made once and kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.series.windows import Key, Totals

METRICS = ("count", "amount", "declined")
"""Of each entity: transactions, approved amount, declined share.  Statuses have their count alone."""

EVERYTHING: Key = ("all", "")


class Watched:
    """The watched entities and their series, numbered in the order of their choice.

    Everything together is watched from the first window.  Every `period` windows the busiest entities
    of each kind, with at least `least` transactions in that time, fill the places that are still free;
    an entity keeps its place for good, so that its silence is seen.

    Args:
        caps: places by kind.
        period: windows between two choices.
        least: transactions that an entity needs within a period to be chosen.
    """

    def __init__(self, caps: Mapping[str, int], period: int, least: int) -> None:
        self._caps = dict(caps)
        self._period = period
        self._least = least
        self._since: int | None = None
        self._busy: dict[Key, int] = {}
        self._entities: dict[Key, int] = {}
        self.names: list[str] = []
        self.keys: list[Key] = []
        self.metrics: list[int] = []
        self._register(EVERYTHING)

    def note(self, window: int, totals: Totals) -> None:
        """Count a closed window; at the end of a period, choose."""
        if self._since is None:
            self._since = window
        if window - self._since >= self._period:
            self._choose()
            self._since = window
        busy = self._busy
        for key, (count, *_) in totals.items():
            if key not in self._entities:
                busy[key] = busy.get(key, 0) + count

    def table(self, totals: Totals) -> npt.NDArray[np.float64]:
        """Return count, amount, declined and largest amount of every watched entity, (entities, 4)."""
        table = np.zeros((len(self._entities), 4))
        for key, sums in totals.items():
            place = self._entities.get(key)
            if place is not None:
                table[place] = sums
        table[:, (1, 3)] /= 1000.0
        return table

    def places(self) -> npt.NDArray[np.intp]:
        """Return the row in the table of each series, shape (series,)."""
        return np.array([self._entities[key] for key in self.keys], np.intp)

    def dump(self) -> dict[str, Any]:
        """Return all state, in an order of its own."""
        busy = sorted(self._busy.items())
        return {
            "watched.since": np.array([] if self._since is None else [self._since], np.int64),
            "watched.kind": [kind for kind, _ in self._entities],
            "watched.id": [name for _, name in self._entities],
            "watched.busy_kind": [kind for (kind, _), _ in busy],
            "watched.busy_id": [name for (_, name), _ in busy],
            "watched.busy": np.array([count for _, count in busy], np.int64),
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over a dump."""
        since = np.asarray(kept["watched.since"]).tolist()
        self._since = since[0] if since else None
        self._entities, self.names, self.keys, self.metrics = {}, [], [], []
        for key in zip(kept["watched.kind"], kept["watched.id"], strict=True):
            self._register(key)
        busy = zip(kept["watched.busy_kind"], kept["watched.busy_id"], strict=True)
        self._busy = dict(zip(busy, np.asarray(kept["watched.busy"]).tolist(), strict=True))

    def _choose(self) -> None:
        free = dict(self._caps)
        for kind, _ in self._entities:
            free[kind] = free.get(kind, 0) - 1
        for (kind, name), count in sorted(self._busy.items(), key=lambda item: (-item[1], item[0])):
            if count >= self._least and free.get(kind, 0) > 0:
                free[kind] -= 1
                self._register((kind, name))
        self._busy = {}

    def _register(self, key: Key) -> None:
        self._entities[key] = len(self._entities)
        for metric, word in enumerate(METRICS if key[0] != "status" else METRICS[:1]):
            self.keys.append(key)
            self.metrics.append(metric)
            self.names.append("/".join(part for part in (word, *key) if part))


def series_name(metric: str, key: Key) -> str:
    """Return the name of a series: `count/all`, `declined/merchant/m17`."""
    return "/".join(part for part in (metric, *key) if part)
