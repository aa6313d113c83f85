"""Combinations: rows that are odd in several ways at once, none of them much."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from detectors.isolation import SAMPLED, Isolation, deviations
from detectors.kernels.histogram import BINS
from detectors.kernels.stretch import POPULATION_LEVEL
from detectors.kernels.tail import FIT_WIDTH, population_tail
from detectors.method import Evidence, Found, blank, silent
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State, Table
from txwatch.model import AnomalyType

_RESOLUTION = 20.0


class IsolationOfDeviations:
    """An isolation forest on how far each row is from what the other detectors expected.

    Sees: rare combinations of deviations.
    Blind: until its first fit; to what no other detector measures; it names no cause, so its reason
    carries the largest deviations as facts of the others.
    From: Liu, Ting, Zhou 2008; trained by scikit-learn at event-time midnights on a kept sample
    without suspected rows, walked by `kernels.forest`.
    """

    name: ClassVar[str] = "forest"
    type: ClassVar[AnomalyType] = AnomalyType.PATTERN
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = False

    def __init__(self, settings: DetectionSettings) -> None:
        forest = settings.forest
        self._isolation = Isolation(forest)
        self._tail = State(counts=Table("", (BINS,)), fits=Table("", (FIT_WIDTH,)))
        self._settings = np.array([forest.even_at, forest.gain, forest.warm_up, 32768.0])

    def states(self) -> Mapping[str, State]:
        """Return the kept sample, the trees and the tail of their scores."""
        return {"isolation": self._isolation.state, "tail": self._tail}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score the deviations that the methods before measured, then keep some of the rows."""
        if not so_far:
            return silent(len(rows))
        isolated = self._isolation.score(rows.times, deviations(so_far), _unsuspected(so_far))
        found = blank(np.empty(len(rows)))
        population_tail(
            np.exp(_RESOLUTION * isolated),
            np.zeros(len(rows), dtype=np.int32),
            self._tail["counts"],
            self._tail["fits"],
            self._settings,
            found.log_odds,
            found.expected,
            found.size,
        )
        found.observed[:] = isolated
        found.expected[:] = np.log(np.maximum(found.expected, 1e-9)) / _RESOLUTION
        found.level[:] = POPULATION_LEVEL
        return found

    def sentence(self, found: Found) -> str:
        """Return how alone the row stands."""
        return (
            f"the combination of amount, frequency, place and hour stands alone: isolation "
            f"{found.observed:.2f}, 99 % of {found.size:,} payments are below {found.expected:.2f}"
        )


def _unsuspected(so_far: Sequence[Evidence]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    odds = np.max([found.log_odds for found in so_far], axis=0)
    return np.asarray(odds < SAMPLED)
