"""An isolation forest that is refitted from a kept sample as the stream goes on.

A fit takes place once when `warm_up` rows have been seen, then at the first row of an event-time day:
after a day, two days, four, and so on up to every `refit_days`.  It is always made from rows before
it: the same stream gives the same forests wherever batches are cut.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.forest import forest_scores, log_deviation
from detectors.method import Evidence
from detectors.settings import Forest
from detectors.state import State, Table
from detectors.types import Flags, Floats, Times

SAMPLED: Final = 0.0
"""Rows with more evidence than this are not learnt from."""

FEATURES: Final = 16
"""Room for deviations; what is not used stays 0 and is never split by."""

_DAY_MS = 86_400_000
_DEPTH = 8
_LEAVES = 2**_DEPTH
"""sklearn grows a tree on 256 rows to depth 8 at most."""

_SEEN, _KEPT, _DAY, _FITS, _FITTED, _DAY_ROWS, _STRIDE = range(7)
_CLOCK_WIDTH = 7


class Isolation:
    """A sample, the forest fitted to it, and when the next fit is due."""

    def __init__(self, settings: Forest) -> None:
        self._settings = settings
        trees = settings.trees
        self.state = State(
            sample=Table("", (FEATURES,), "f4", rows_each=settings.sample_rows),
            clock=Table("", (), "i8", rows_each=_CLOCK_WIDTH),
            feature=Table("", (_LEAVES - 1,), "i1", rows_each=trees),
            threshold=Table("", (_LEAVES - 1,), "f4", rows_each=trees),
            length=Table("", (_LEAVES,), rows_each=trees),
        )

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
        rested = day - clock[_FITTED] >= min(1 << max(clock[_FITS] - 1, 0), self._settings.refit_days)
        is_due = (is_new_day and rested) or clock[_SEEN] == self._settings.warm_up
        if is_due and clock[_SEEN] >= self._settings.warm_up and clock[_KEPT] >= _LEAVES:
            self._fit()

    def _fit(self) -> None:
        kept = min(self._clock(_KEPT), self._settings.sample_rows)
        sample = self.state["sample"][:kept]
        for tree, nodes in enumerate(fitted(sample, self._settings, self._clock(_FITS))):
            for name, values in nodes.items():
                self.state[name][tree] = values
        self.state["clock"][_FITS] += 1
        self.state["clock"][_FITTED] = self._clock(_DAY)

    def _walk(self, x: npt.NDArray[np.float32], scores: Floats) -> None:
        state = self.state
        forest_scores(x, state["feature"], state["threshold"], state["length"], _DEPTH, scores)

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
        log_deviation(found.observed, found.expected, k, x)
    return x


def fitted(sample: npt.NDArray[np.float32], settings: Forest, number: int) -> list[dict[str, Any]]:
    """Fit the forest of this number and return each tree as a perfect tree's arrays, by name."""
    forest = sklearn_forest(sample, settings, number)
    scale = settings.trees * _mean_length(np.array([forest.max_samples_]))[0]
    return [_perfect(estimator.tree_, scale) for estimator in forest.estimators_]


def sklearn_forest(sample: npt.NDArray[np.float32], settings: Forest, number: int) -> Any:
    """Fit scikit-learn's forest; the same sample, settings and number give the same forest."""
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - takes a second, needed once a day

    size, seed = min(_LEAVES, len(sample)), settings.seed + number
    return IsolationForest(n_estimators=settings.trees, max_samples=size, random_state=seed).fit(sample)


def _perfect(tree: Any, scale: float) -> dict[str, Any]:
    """Lay a fitted tree out as a perfect one.

    Values are 32 bits wide: one is at most a threshold of 64 bits where it is at most that, rounded down.
    """
    feature = np.zeros(_LEAVES - 1, dtype=np.int8)
    threshold = np.full(_LEAVES - 1, np.inf, dtype=np.float32)
    limits = _rounded_down(tree.threshold)
    length = np.zeros(_LEAVES)
    mean_length = _mean_length(tree.n_node_samples)
    waiting = [(0, 0, 0)]
    while waiting:
        node, place, depth = waiting.pop()
        left = tree.children_left[node]
        if left >= 0:
            feature[place], threshold[place] = tree.feature[node], limits[node]
            waiting += [
                (left, 2 * place + 1, depth + 1),
                (tree.children_right[node], 2 * place + 2, depth + 1),
            ]
        else:
            steps = _DEPTH - depth
            leaf = (place + 1) * 2**steps - _LEAVES
            length[leaf] = (depth + mean_length[node]) / scale
    return {"feature": feature, "threshold": threshold, "length": length}


def _rounded_down(numbers: Floats) -> npt.NDArray[np.float32]:
    """Return the largest 32-bit numbers that are no larger."""
    near = numbers.astype(np.float32)
    return np.where(near > numbers, np.nextafter(near, np.float32(-np.inf)), near)


def _mean_length(count: npt.NDArray[np.int64]) -> Floats:
    """Return the mean path length of an unsuccessful search among `count` rows (Liu et al., eq. 1)."""
    more = np.maximum(count, 3) - 1.0
    length = 2.0 * (np.log(more) + np.euler_gamma) - 2.0 * more / (more + 1.0)
    return np.where(count > 2, length, np.where(count == 2, 1.0, 0.0))


def _pieces(days: Times, day: int, warm_up_at: int) -> list[tuple[int, int]]:
    """Return the stretches of rows between which a fit may be due."""
    changes = np.flatnonzero(np.diff(days, prepend=day))
    cuts = sorted({0, len(days), *changes.tolist(), *([warm_up_at] if warm_up_at else [])})
    return list(pairwise(cuts))


def _scrambled(number: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return a fixed pseudo-random number for each row number (splitmix64)."""
    z = number.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
