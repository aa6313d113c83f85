"""Isolation trees as arrays: grown by scikit-learn, kept and walked as perfect binary trees."""

from typing import Any, Final, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.kernels.forest import forest_scores
from detectors.settings import DetectorName, Forest
from detectors.state import State, Table
from detectors.types import Floats

FEATURES: Final = 16
"""Room for deviations; what is not used stays 0 and is never split by."""

FEATURE_NAMES: Final[tuple[str, ...]] = get_args(DetectorName)[: get_args(DetectorName).index("forest")]
"""The detectors whose deviations these are, by column: one that is switched off leaves its column empty."""

DEPTH: Final = 8
LEAVES: Final = 2**DEPTH
"""sklearn grows a tree on 256 rows to depth 8 at most."""

Sample = npt.NDArray[np.float32]
"""Deviations, shape (n, FEATURES)."""


class Trees(msgspec.Struct, frozen=True, kw_only=True):
    """One fitted forest; see `kernels.forest` for how it is laid out."""

    feature: npt.NDArray[np.int8]
    """Shape (trees, LEAVES - 1)."""
    threshold: npt.NDArray[np.float32]
    """Shape (trees, LEAVES - 1)."""
    length: Floats
    """Shape (trees, LEAVES)."""


def tree_tables(trees: int) -> dict[str, Table]:
    """Return the shapes in which so many trees are remembered."""
    return {
        "feature": Table("", (LEAVES - 1,), "i1", rows_each=trees),
        "threshold": Table("", (LEAVES - 1,), "f4", rows_each=trees),
        "length": Table("", (LEAVES,), rows_each=trees),
    }


def fitted(sample: Sample, settings: Forest, number: int) -> Trees:
    """Fit the forest of this number; the same sample, settings and number give the same forest."""
    forest = sklearn_forest(sample, settings, number)
    scale = settings.trees * _mean_length(np.array([forest.max_samples_]))[0]
    grown = [_perfect(estimator.tree_, scale) for estimator in forest.estimators_]
    return Trees(**{name: np.stack([tree[name] for tree in grown]) for name in Trees.__struct_fields__})


def sklearn_forest(sample: Sample, settings: Forest, number: int) -> Any:
    """Fit scikit-learn's forest (Liu, Ting, Zhou 2008)."""
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - takes a second, needed once a day

    size, seed = min(LEAVES, len(sample)), settings.seed + number
    return IsolationForest(n_estimators=settings.trees, max_samples=size, random_state=seed).fit(sample)


def isolation(trees: State, x: Sample) -> Floats:
    """Return how isolated rows of shape (n, FEATURES) are: 0.5 is ordinary, 1 isolated at once."""
    scores = np.empty(len(x))
    forest_scores(x, trees["feature"], trees["threshold"], trees["length"], DEPTH, scores)
    return scores


def _perfect(tree: Any, scale: float) -> dict[str, Any]:
    """Lay a fitted tree out as a perfect one.

    Values are 32 bits wide: one is at most a threshold of 64 bits where it is at most that, rounded down.
    """
    feature = np.zeros(LEAVES - 1, dtype=np.int8)
    threshold = np.full(LEAVES - 1, np.inf, dtype=np.float32)
    limits = _rounded_down(tree.threshold)
    length = np.zeros(LEAVES)
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
            steps = DEPTH - depth
            leaf = (place + 1) * 2**steps - LEAVES
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
