"""Walking fitted isolation trees: what sklearn's `score_samples` gives, without its cost per call."""

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel
from detectors.types import Floats, Rows32

Matrix32 = npt.NDArray[np.float32]


@kernel
def forest_scores(
    x: Matrix32, roots: Rows32, feature: Rows32, threshold: Floats, child: Rows32, length: Floats, out: Floats
) -> None:
    """Return the mean path length of each row over all trees, on the 0 to 1 scale of Liu et al. 2008.

    One tree after the other, so that each stays in the nearest cache while all rows walk it.

    Args:
        x: shape (n, features).
        roots: shape (trees,); index of each tree's root in the node arrays.
        feature: shape (nodes,); what a node splits by, -1 at a leaf.
        threshold: shape (nodes,); left when the value is at most this.
        child: shape (2 * nodes,); left and right of each node.
        length: shape (nodes,); at a leaf its path length over (trees * mean length of the sample).
        out: shape (n,); 0.5 is ordinary, 1 is isolated at once.
    """
    out[:] = 0.0
    for root in roots:
        for i in range(x.shape[0]):
            node = root
            while feature[node] >= 0:
                node = child[2 * node + (x[i, feature[node]] > threshold[node])]
            out[i] += length[node]
    for i in range(x.shape[0]):
        out[i] = 2.0 ** -out[i]
