"""Many detectors, one scale, one number: calibration and the join."""

from collections.abc import Sequence

import numpy as np

from detectors.kernels.calibrate import STATE_WIDTH, calibrate
from detectors.kernels.histogram import BINS
from detectors.kernels.join import join
from detectors.method import Evidence, Method
from detectors.settings import Calibration
from detectors.state import State, Table
from detectors.types import Floats


class Joining:
    """Brings the evidence of all methods to one scale and joins it."""

    def __init__(self, methods: Sequence[Method], settings: Calibration) -> None:
        count = max(len(methods), 1)
        self.state = State(
            counts=Table("", (BINS,), rows_each=count), scales=Table("", (STATE_WIDTH,), rows_each=count)
        )
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

    def step(self, found: Sequence[Evidence], count: int) -> tuple[Floats, Floats]:
        """Return the calibrated evidence, shape (n, methods), and the joint log odds, shape (n,)."""
        raw = np.empty((count, len(found)))
        for k, evidence in enumerate(found):
            raw[:, k] = evidence.log_odds
        calibrated, joint = np.empty_like(raw), np.empty(count)
        calibrate(
            raw, self._is_bounded, self.state["counts"], self.state["scales"], self._settings, calibrated
        )
        join(calibrated, joint)
        return calibrated, joint
