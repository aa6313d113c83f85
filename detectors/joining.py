"""Many detectors, one scale, one number: calibration and the join."""

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from detectors.kernels.calibrate import STATE_WIDTH, calibrate
from detectors.kernels.histogram import BINS
from detectors.kernels.join import join
from detectors.kernels.tail import SILENT
from detectors.method import Evidence, Method
from detectors.settings import Calibration
from detectors.state import Array, State, Table
from detectors.types import Floats
from txwatch.errors import SnapshotError

EVEN: Mapping[str, float] = {}


class Joining:
    """Brings the evidence of all methods to one scale and joins it."""

    def __init__(
        self, methods: Sequence[Method], settings: Calibration, weights: Mapping[Any, float] = EVEN
    ) -> None:
        """`weights` multiply the odds of detectors, by name."""
        self._weights = np.log([weights.get(method.name, 1.0) for method in methods])
        self.state = _ByMethod([method.name for method in methods])
        self._is_bounded = np.array([method.is_bounded for method in methods], dtype=bool)
        self._settings = np.array(
            [
                settings.prior,
                settings.rare,
                settings.gain,
                settings.lowest,
                settings.highest,
                settings.prior_count,
                settings.warm_up,
                np.exp(-settings.rare),
                np.log(settings.times_chance),
            ],
            dtype=np.float64,
        )

    def calibrated(self, found: Sequence[Evidence], count: int) -> Floats:
        """Return the evidence of all methods on one scale, shape (n, methods)."""
        raw, by_chance = np.empty((2, count, len(found)))
        for k, evidence in enumerate(found):
            raw[:, k], by_chance[:, k] = evidence.log_odds, evidence.by_chance
        calibrated = np.empty_like(raw)
        calibrate(
            raw,
            by_chance,
            self._is_bounded,
            self.state["counts"],
            self.state["scales"],
            self._settings,
            calibrated,
        )
        return calibrated

    def joined(self, evidence: Floats) -> tuple[Floats, Floats]:
        """Return the evidence, weighted, and the joint log odds, shape (n,)."""
        joint = np.empty(len(evidence))
        if self._weights.any():
            evidence = evidence + np.where(evidence > SILENT, self._weights, 0.0)
        join(evidence, joint)
        return evidence, joint


class _ByMethod(State):
    """Rows by method: those of a dump go to the methods of the same names, others start empty."""

    def __init__(self, names: Sequence[str]) -> None:
        count = max(len(names), 1)
        super().__init__(
            counts=Table("", (BINS,), rows_each=count),
            scales=Table("", (STATE_WIDTH,), rows_each=count),
            names=Table("", (), "u4", rows_each=count),
        )
        self["names"][: len(names)] = [crc32(name.encode()) for name in names]

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over the rows of methods that are here too; raises SnapshotError where a part is missing."""
        if missing := {"counts", "scales", "names"} - arrays.keys():
            raise SnapshotError(f"the snapshot does not fit: joining lacks {', '.join(sorted(missing))}")
        places = {int(name): row for row, name in enumerate(arrays["names"])}
        for row, name in enumerate(self["names"].tolist()):
            if name in places:
                self["counts"][row] = arrays["counts"][places[name]]
                self["scales"][row] = arrays["scales"][places[name]]
