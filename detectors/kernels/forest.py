"""Walking fitted isolation trees: what sklearn's `score_samples` gives, without its cost per call.

Trees are kept as perfect binary trees: the children of node i are 2 i + 1 and 2 i + 2, and a leaf that
ends early is padded with nodes that always lead left.  So a walk has a fixed number of steps and no
branch that a processor could guess wrongly.
"""

from math import log
from typing import Final

import numpy as np

from detectors.kernels.compiled import kernel
from detectors.types import Codes, Floats, Matrix32

_LEAST: Final = 1e-3
_LOWEST: Final = -4.0
_HIGHEST: Final = 6.0


@kernel
def forest_scores(
    x: Matrix32, feature: Codes, threshold: Matrix32, length: Floats, depth: int, out: Floats
) -> None:
    """Return the isolation of each row over all trees, on the 0 to 1 scale of Liu et al. 2008.

    Args:
        x: shape (n, features).
        feature: shape (trees, 2**depth - 1); what a node splits by.
        threshold: shape (trees, 2**depth - 1); left when the value is at most this.
        length: shape (trees, 2**depth); a leaf's path length over (trees * mean length of the sample).
        depth: steps from the root to every leaf.
        out: shape (n,); 0.5 is ordinary, 1 is isolated at once.
    """
    out[:] = 0.0
    for tree in range(feature.shape[0]):
        splits = feature[tree]
        limits = threshold[tree]
        for i in range(x.shape[0]):
            node = 0
            for _ in range(depth):
                node = 2 * node + 1 + (x[i, splits[node]] > limits[node])
            out[i] += length[tree, node - limits.size]
    for i in range(x.shape[0]):
        out[i] = 2.0 ** -out[i]


@kernel
def log_deviation(observed: Floats, expected: Floats, column: int, x: Matrix32) -> None:
    """Write log(observed / expected), bounded, into a column; 0 where either is unknown.

    Args:
        observed: shape (n,).
        expected: shape (n,).
        column: which column of x.
        x: shape (n, features).
    """
    for i in range(observed.size):
        x[i, column] = 0.0
        if not np.isnan(observed[i]) and not np.isnan(expected[i]):
            ratio = log(max(observed[i], _LEAST) / max(expected[i], _LEAST))
            x[i, column] = min(max(ratio, _LOWEST), _HIGHEST)
