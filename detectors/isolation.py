"""An isolation forest that is refitted from a kept sample as the stream goes on.

A fit takes place once when `warm_up` rows have been seen, then at the first row of an event-time day:
after a day, two days, three, and so on up to every `refit_days`.  It is always made from rows before
it: the same stream gives the same forests wherever batches are cut.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.forest import forest_scores
from detectors.method import Evidence
from detectors.settings import Forest
from detectors.state import State, Table
from detectors.types import Flags, Floats, Times

SAMPLED: Final = 0.0
"""Rows with more evidence than this are not learnt from."""

FEATURES: Final = 16
"""Room for deviations; what is not used stays 0 and is never split by."""

_DAY_MS = 86_400_000
_TREE_ROWS = 256
_TREE_NODES = 2 * _TREE_ROWS

_SEEN, _KEPT, _DAY, _FITS, _FITTED, _DAY_ROWS, _STRIDE = range(7)
_CLOCK_WIDTH = 7


class Isolation:
    """A sample, the forest fitted to it, and when the next fit is due."""

    def __init__(self, settings: Forest) -> None:
        nodes = settings.trees * _TREE_NODES
        self._settings = settings
        self.state = State(
            sample=Table("", (FEATURES,), "f4", rows_each=settings.sample_rows),
            clock=Table("", (), "i8", rows_each=_CLOCK_WIDTH),
            feature=Table("", (), "i4", rows_each=nodes, fill=-1),
            threshold=Table("", (), rows_each=nodes),
            child=Table("", (), "i4", rows_each=2 * nodes),
            length=Table("", (), rows_each=nodes),
        )
        self._roots = np.arange(0, nodes, _TREE_NODES, dtype=np.int32)

    def score(self, times: Times, x: npt.NDArray[np.float32], unsuspected: Flags) -> Floats:
        """Return the isolation of each row, 0 to 1, NaN before the first fit; then keep some rows."""
        scores = np.full(len(times), np.nan)
        days = np.maximum.accumulate(np.maximum(times // _DAY_MS, self._clock(_DAY)))
        for start, stop in _pieces(days, self._clock(_DAY), self._rows_to_warm_up(len(times))):
            self._refit_when_due(int(days[start]))
            if self._clock(_FITS):
                self._walk(x[start:stop], scores[start:stop])
            self._keep(x[start:stop], unsuspected[start:stop])
        return scores

    def _clock(self, hand: int) -> int:
        return int(self.state["clock"][hand])

    def _rows_to_warm_up(self, count: int) -> int:
        left = self._settings.warm_up - self._clock(_SEEN)
        return left if 0 < left < count else 0

    def _refit_when_due(self, day: int) -> None:
        clock = self.state["clock"]
        is_new_day = day > clock[_DAY]
        if is_new_day:
            clock[_STRIDE] = max(1, clock[_DAY_ROWS] // self._settings.rows_per_day)
            clock[_DAY_ROWS] = 0
            clock[_DAY] = day
        rested = day - clock[_FITTED] >= min(clock[_FITS], self._settings.refit_days)
        is_due = (is_new_day and rested) or clock[_SEEN] == self._settings.warm_up
        if is_due and clock[_SEEN] >= self._settings.warm_up and clock[_KEPT] >= _TREE_ROWS:
            self._fit()

    def _fit(self) -> None:
        kept = min(self._clock(_KEPT), self._settings.sample_rows)
        forest = fitted(self.state["sample"][:kept], self._settings, self._clock(_FITS))
        for root, tree in zip(self._roots, forest, strict=True):
            for name, values in tree.items():
                start = root * len(values) // len(tree["feature"])
                self.state[name][start : start + len(values)] = values
        self.state["clock"][_FITS] += 1
        self.state["clock"][_FITTED] = self._clock(_DAY)

    def _walk(self, x: npt.NDArray[np.float32], scores: Floats) -> None:
        state = self.state
        forest_scores(
            x, self._roots, state["feature"], state["threshold"], state["child"], state["length"], scores
        )

    def _keep(self, x: npt.NDArray[np.float32], unsuspected: Flags) -> None:
        clock = self.state["clock"]
        number = clock[_SEEN] + np.arange(len(x))
        chosen = unsuspected & (_scrambled(number) % max(1, self._clock(_STRIDE)) == 0)
        rows = x[chosen]
        slots = (clock[_KEPT] + np.arange(len(rows))) % self._settings.sample_rows
        self.state["sample"][slots] = rows
        clock[_KEPT] += len(rows)
        clock[_SEEN] += len(x)
        clock[_DAY_ROWS] += len(x)


def deviations(so_far: Sequence[Evidence]) -> npt.NDArray[np.float32]:
    """Return log(observed / expected) of each method, 0 where unknown; shape (n, FEATURES)."""
    x = np.zeros((len(so_far[0].log_odds), FEATURES), dtype=np.float32)
    for k, found in enumerate(so_far[:FEATURES]):
        ratio = np.log(np.maximum(found.observed, 1e-3) / np.maximum(found.expected, 1e-3))
        x[:, k] = np.clip(np.nan_to_num(ratio), -4.0, 6.0)
    return x


def fitted(sample: npt.NDArray[np.float32], settings: Forest, number: int) -> list[dict[str, Any]]:
    """Fit a forest and return each tree's nodes as arrays, children counted from the first tree's root."""
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - takes a second, needed once a day

    forest = IsolationForest(
        n_estimators=settings.trees,
        max_samples=min(_TREE_ROWS, len(sample)),
        random_state=settings.seed + number,
    ).fit(sample)
    scale = settings.trees * _mean_length(np.array([forest.max_samples_]))[0]
    return [
        _nodes(estimator.tree_, scale, root=k * _TREE_NODES) for k, estimator in enumerate(forest.estimators_)
    ]


def _nodes(tree: Any, scale: float, *, root: int) -> dict[str, Any]:
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):
        for child in (tree.children_left[node], tree.children_right[node]):
            if child >= 0:
                depth[child] = depth[node] + 1.0
    return {
        "feature": np.maximum(tree.feature, -1),
        "threshold": tree.threshold,
        "child": np.stack([tree.children_left, tree.children_right], axis=1).ravel() + root,
        "length": (depth + _mean_length(tree.n_node_samples)) / scale,
    }


def _mean_length(count: npt.NDArray[np.int64]) -> Floats:
    """Return the mean path length of an unsuccessful search among `count` rows (Liu et al., eq. 1)."""
    more = np.maximum(count, 3) - 1.0
    length = 2.0 * (np.log(more) + np.euler_gamma) - 2.0 * more / (more + 1.0)
    return np.where(count > 2, length, np.where(count == 2, 1.0, 0.0))


def _pieces(days: Times, day: int, warm_up_at: int) -> list[tuple[int, int]]:
    """Return the stretches of rows between which a fit may be due."""
    changes = np.flatnonzero(np.diff(days, prepend=day))
    cuts = sorted({0, len(days), *changes.tolist(), *([warm_up_at] if warm_up_at else [])})
    return list(zip(cuts, cuts[1:], strict=False))


def _scrambled(number: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return a fixed pseudo-random number for each row number (splitmix64)."""
    z = number.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
