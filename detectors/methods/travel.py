"""Two payments too far apart for the time between them."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from detectors.kernels.histogram import BINS
from detectors.kernels.stretch import POPULATION_LEVEL
from detectors.kernels.tail import FIT_WIDTH, population_tail
from detectors.method import Evidence, Found, blank
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State, Table
from txwatch.model import AnomalyType

_SLOWEST_KMH = 1.0


class Travel:
    """The speed from the user's last place against the speeds of everybody.

    Sees: impossible travel, also of users without a past but one payment.
    Blind: without latitude and longitude, and where places are so coarse that everybody jumps.
    From: a tail fitted to quantiles, see `kernels.tail`.
    """

    name: ClassVar[str] = "travel"
    type: ClassVar[AnomalyType] = AnomalyType.PLACE
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = False

    def __init__(self, settings: DetectionSettings) -> None:
        self._state = State(counts=Table("", (BINS,)), fits=Table("", (FIT_WIDTH,)))
        travel = settings.travel
        self._settings = np.array([travel.even_at, travel.gain, travel.warm_up, 32768.0])

    def states(self) -> Mapping[str, State]:
        """Return the tail of speeds."""
        return {"": self._state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score rows with a place and an earlier place."""
        del so_far
        found = blank(np.empty(len(rows)))
        speed = rows.features["travel_kmh"]
        everybody = np.zeros(len(rows), dtype=np.int32)
        population_tail(
            np.maximum(speed, _SLOWEST_KMH),
            everybody,
            self._state["counts"],
            self._state["fits"],
            self._settings,
            found.log_odds,
            found.expected,
            found.size,
        )
        found.observed[:] = speed
        found.level[:] = POPULATION_LEVEL
        return found

    def sentence(self, found: Found) -> str:
        """Return the speed beside what nearly everybody stays below."""
        return (
            f"{found.observed:,.0f} km/h from this customer's last place: 99 % of {found.size:,} ways were "
            f"slower than {found.expected:,.0f} km/h"
        )
