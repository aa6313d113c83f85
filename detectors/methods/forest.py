"""Combinations: rows that are odd in several ways at once, none of them much."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from detectors.isolation import Isolation
from detectors.kernels.forest import log_deviation
from detectors.method import Evidence, Found, silent
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State
from detectors.trees import FEATURE_NAMES, FEATURES, Sample
from detectors.types import Flags, Hashes, Times
from txwatch.model import AnomalyType
from txwatch.registry import ModelChange

SUSPECTED: Final = 0.0
"""Payments for which another detector has more evidence than this are not learnt from."""


class IsolationOfDeviations:
    """An isolation forest on how far each row is from what the other detectors expected.

    Sees: rare combinations of deviations.
    Blind: until its first fit; to what no other detector measures; it names no cause, so its reason
    carries the largest deviations as facts of the others.
    From: Liu, Ting, Zhou 2008; trained by scikit-learn on a kept sample without suspected, flagged or
    confirmed rows, walked by `kernels.forest`; when and how is in `isolation`.
    """

    name: ClassVar[str] = "forest"
    type: ClassVar[AnomalyType] = AnomalyType.PATTERN
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = False

    def __init__(self, settings: DetectionSettings) -> None:
        self._isolation = Isolation(settings.forest)
        self._columns = [k for k, name in enumerate(FEATURE_NAMES) if name not in settings.off]

    def states(self) -> Mapping[str, State]:
        """Return the kept sample, the forests and the tails of their scores."""
        return self._isolation.states()

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score the deviations that the methods before measured, then keep some of the rows."""
        if not so_far:
            return silent(len(rows))
        suspected = np.max([found.log_odds for found in so_far], axis=0) >= SUSPECTED
        return self._isolation.score(rows.times, rows.keys, deviations(so_far, self._columns), suspected)

    def sentence(self, found: Found) -> str:
        """Return how alone the row stands."""
        return (
            f"the combination of amount, frequency, place and hour stands alone: isolation "
            f"{found.observed:.2f}, 99 % of {found.size:,} payments are below {found.expected:.2f}"
        )

    def cuts(self, times: Times) -> npt.NDArray[np.int64]:
        """Return the rows before which a fit, a change or a judgement may be due."""
        return self._isolation.cuts(times)

    def flagged(self, flags: Flags) -> None:
        """Forget flagged rows in the kept sample, of the last ones that were scored."""
        self._isolation.flagged(flags)

    def leave_out(self, keys: Hashes) -> None:
        """Forget confirmed frauds in the kept sample."""
        self._isolation.leave_out(keys)

    def changes(self) -> list[ModelChange]:
        """Return what was fitted, promoted and rejected since this was asked last."""
        return self._isolation.changes()

    def install(self, payload: bytes, *, held: bool) -> None:
        """Let a kept forest count; raises SnapshotError where it is damaged or of another shape."""
        self._isolation.install(payload, held=held)

    @property
    def model(self) -> str:
        """The version of the forest that counts, empty before the first."""
        return self._isolation.champion.version if self._isolation.champion.is_there else ""


def deviations(so_far: Sequence[Evidence], columns: Sequence[int]) -> Sample:
    """Return log(observed / expected) of each method in its column, 0 where unknown; shape (n, FEATURES)."""
    x = np.zeros((len(so_far[0].log_odds), FEATURES), dtype=np.float32)
    for found, column in zip(so_far, columns, strict=True):
        log_deviation(found.observed, found.expected, column, x)
    return x
