"""Whether scores keep their word: of payments said to be frauds with some probability, how many were."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from detectors.severity import probability_of
from detectors.types import Flags, Floats

EDGES: Final = (0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0)
"""Of the bands, as probabilities; half-open, the last one closed."""


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """The payments whose said probability lies between two."""

    low: float
    high: float
    payments: int
    said: float
    """Their mean probability."""
    was: float
    """The share of them that were frauds."""


def reliability(score: Floats, is_fraud: Flags) -> Sequence[Band]:
    """Return the bands that have payments, least probable first; arrays of shape (n,)."""
    said = probability_of(score)
    band = np.minimum(np.searchsorted(EDGES, said, side="right"), len(EDGES) - 1) - 1
    return [
        Band(
            low=EDGES[k],
            high=EDGES[k + 1],
            payments=int(of.sum()),
            said=float(said[of].mean()),
            was=float(is_fraud[of].mean()),
        )
        for k in range(len(EDGES) - 1)
        if (of := band == k).any()
    ]
