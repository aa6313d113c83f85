"""The state of the declared features: one ring of buckets per feature and entity.

Rows must come in feed order.  A value takes in its own row; what it is does not depend on where the feed
was cut into batches.  State per entity is constant: of users and merchants, whose rows the engine gives,
for ever; of cards, devices, addresses and pairs until they have been silent for longer than the window.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.rows import milliseconds
from detectors.rules.features import Feature
from detectors.rules.kernels import (
    NEVER,
    slide_distinct,
    slide_largest,
    slide_since,
    slide_totals,
)
from detectors.rules.roster import NO_ENTITY, Ids, Roster, grown
from detectors.rules.windowing import BUCKETS, bucket_ms, slots
from detectors.types import Flags, Floats, Rows32, Times

MOST_DISTINCT = 32
"""How many different values `distinct` tells apart."""
FORGET_EVERY = 65_536
"""After so many rows the silent entities are forgotten: a number of rows, so that batches do not matter."""


class Aggregate(msgspec.Struct, frozen=True):
    """How one kind of feature is kept: its kernel, and the ring's content, type and length."""

    kernel: Callable[..., None]
    empty: float
    dtype: type[np.floating[Any]]
    ring: Callable[[int], int]
    """From the slots of the window to the numbers kept per entity."""


AGGREGATES: dict[str, Aggregate] = {
    "count": Aggregate(slide_totals, 0.0, np.float32, lambda length: length),
    "sum": Aggregate(slide_totals, 0.0, np.float64, lambda length: length),
    "max": Aggregate(slide_largest, -np.inf, np.float64, lambda length: length),
    "distinct": Aggregate(slide_distinct, -np.inf, np.float64, lambda _: 2 * MOST_DISTINCT),
    "time_since": Aggregate(slide_since, -np.inf, np.float64, lambda _: 1),
}
"""A mean is a sum over a count."""

Input = tuple[Flags, Floats]
"""Whether each row counts, and what it adds."""


class Ring:
    """The buckets of one aggregate over one window, for all entities."""

    def __init__(self, kind: str, window_ms: int) -> None:
        self._how = AGGREGATES[kind]
        self._width = bucket_ms(window_ms)
        self._newest: Times = np.full(0, NEVER, np.int64)
        self._buckets = np.zeros((0, self._how.ring(slots(window_ms))), self._how.dtype)

    def step(self, times: Times, entity: Rows32, counted: Flags, values: Floats) -> Floats:
        """Learn these rows; return the window's value with each of them in it."""
        self._make_room(int(entity.max(initial=-1)) + 1)
        out = np.empty(times.size)
        counted, values = _writable(counted), _writable(values)
        self._how.kernel(
            times, entity, counted, values, self._newest, self._buckets, self._width, BUCKETS, out
        )
        return out

    def keep(self, rows: npt.NDArray[np.intp]) -> None:
        """Keep the state of these rows only, in this order."""
        present = rows[rows < self._newest.size]
        self._newest = self._newest[present]
        self._buckets = self._buckets[present]

    def dump(self) -> dict[str, bytes]:
        """Return the state as bytes."""
        used = int(np.flatnonzero(self._newest != NEVER).max(initial=-1)) + 1
        return {"newest": self._newest[:used].tobytes(), "buckets": self._buckets[:used].tobytes()}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take over a dump of a ring of the same kind and window."""
        width = self._buckets.shape[1]
        self._newest = np.frombuffer(state["newest"], np.int64).copy()
        self._buckets = np.frombuffer(state["buckets"], self._how.dtype).reshape(-1, width).copy()

    def _make_room(self, rows: int) -> None:
        if rows > self._newest.size:
            self._newest = grown(self._newest, rows, NEVER)
            self._buckets = grown(self._buckets, rows, self._how.empty)


class Window:
    """One declared feature's state: a ring, or for a mean two."""

    def __init__(self, feature: Feature) -> None:
        self._is_mean = feature.kind == "mean"
        kinds = ("sum", "count") if self._is_mean else (feature.kind,)
        self.rings = [Ring(kind, feature.window_ms) for kind in kinds]

    def step(self, times: Times, entity: Rows32, counted: Flags, values: Floats) -> Floats:
        """Learn these rows; return the feature's values, NaN where there is none."""
        value = self.rings[0].step(times, entity, counted, values)
        if not self._is_mean:
            return value
        count = self.rings[1].step(times, entity, counted, np.ones(times.size))
        mean: Floats = np.divide(value, count, out=np.full(times.size, np.nan), where=count > 0.0)
        return mean


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where windows are, in memory: rosters by what they are kept by, windows by what they are."""

    seen: int
    rosters: dict[tuple[str, ...], Roster]
    windows: dict[str, Window]


class Windows:
    """All declared features, stepped together."""

    def __init__(self, features: Sequence[Feature], definitions: Mapping[str, str] | None = None) -> None:
        """`definitions` say by name what each feature is, for those that go on under other rules."""
        self._features = tuple(features)
        self._definitions = dict(definitions or {feature.name: feature.name for feature in features})
        self._windows = {feature.name: Window(feature) for feature in features}
        self._groups = {feature.by: "+".join(feature.by) for feature in features}
        self._rosters = {by: Roster() for by in self._groups}
        self._seen = 0

    def step(
        self, frame: pl.DataFrame, inputs: Mapping[str, Input], rows: Mapping[str, Rows32]
    ) -> dict[str, Floats]:
        """Return the values of each feature by name, NaN where there is none.

        `frame` has the columns timestamp and those by which features are kept; `inputs` are by feature,
        `rows` by id column (a pair joined by +), for the entities whose rows somebody else keeps.
        """
        times = _writable(milliseconds(frame["timestamp"]))
        values = {name: np.empty(times.size) for name in self._windows}
        start = 0
        while start < times.size:
            stop = min(times.size, start + FORGET_EVERY - self._seen % FORGET_EVERY)
            part = slice(start, stop)
            self._step_part(frame[part], times[part], inputs, rows, part, values)
            start = stop
        return values

    def dump(self) -> dict[str, Any]:
        """Return the state as plain data."""
        rosters = {
            self._groups[by]: {"ids": roster.ids(), "active": roster.active.tobytes()}
            for by, roster in self._rosters.items()
        }
        rings = {
            self._definitions[name]: [ring.dump() for ring in window.rings]
            for name, window in self._windows.items()
        }
        return {"seen": self._seen, "rosters": rosters, "rings": rings}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a dump; features that are defined otherwise begin anew."""
        self._seen = state["seen"]
        for by, name in self._groups.items():
            if kept := state["rosters"].get(name):
                self._rosters[by] = Roster(kept["ids"], np.frombuffer(kept["active"], np.int64).copy())
        for name, window in self._windows.items():
            for ring, kept in zip(
                window.rings, state["rings"].get(self._definitions[name], ()), strict=False
            ):
                ring.restore(kept)

    def standing(self) -> "Standing":
        """Return where the windows are, for those that follow them; these are used no longer then."""
        by_definition = {self._definitions[name]: window for name, window in self._windows.items()}
        return Standing(seen=self._seen, rosters=self._rosters, windows=by_definition)

    def take_over(self, standing: "Standing") -> list[str]:
        """Go on from there; return the names of the features that begin anew."""
        known = standing.windows
        same = {name: known[what] for name, what in self._definitions.items() if what in known}
        self._seen = standing.seen
        self._rosters |= {by: roster for by, roster in standing.rosters.items() if by in self._groups}
        self._windows |= same
        return [name for name in self._windows if name not in same]

    def _step_part(
        self,
        frame: pl.DataFrame,
        times: Times,
        inputs: Mapping[str, Input],
        rows: Mapping[str, Rows32],
        part: slice,
        values: dict[str, Floats],
    ) -> None:
        entities = {by: self._entities(by, frame, times, rows, part) for by in self._groups}
        for feature in self._features:
            counted, added = inputs[feature.name]
            window = self._windows[feature.name]
            values[feature.name][part] = window.step(times, entities[feature.by], counted[part], added[part])
        self._seen += times.size
        if self._seen % FORGET_EVERY == 0:
            self._forget()

    def _entities(
        self, by: tuple[str, ...], frame: pl.DataFrame, times: Times, rows: Mapping[str, Rows32], part: slice
    ) -> Rows32:
        given = rows.get(self._groups[by])
        if given is not None:
            return _writable(given[part])
        if frame[by[0]].null_count() == frame.height:
            return np.full(frame.height, NO_ENTITY, np.int32)
        return self._rosters[by].rows(_ids(by, frame, rows, part), times)

    def _forget(self) -> None:
        for by, roster in self._rosters.items():
            kept_by_it = [feature for feature in self._features if feature.by == by]
            stay = roster.forget(max(_memory_ms(feature) for feature in kept_by_it))
            if stay is not None:
                for ring in (ring for feature in kept_by_it for ring in self._windows[feature.name].rings):
                    ring.keep(stay)


def _ids(by: tuple[str, ...], frame: pl.DataFrame, rows: Mapping[str, Rows32], part: slice) -> Ids:
    if len(by) == 1:
        return frame[by[0]]
    if all(name in rows for name in by):
        first, second = (rows[name][part].astype(np.int64) for name in by)
        return first << 32 | second
    return frame.select(pl.concat_str(*by, separator="\0")).to_series()


def _writable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the array as numba compiled for it: read-only ones would be another type."""
    return np.require(array, requirements=["C", "W"])


def _memory_ms(feature: Feature) -> int:
    return (slots(feature.window_ms) + 1) * bucket_ms(feature.window_ms)
