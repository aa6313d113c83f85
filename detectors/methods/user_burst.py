"""Many attempts of one user within minutes."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from detectors.method import Evidence, Found
from detectors.rates import Rates
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State
from txwatch.model import AnomalyType


class UserBurst:
    """Attempts within 20 minutes against the user's own rate at this hour.

    Sees: card testing, however small the amounts, from about the third attempt on.
    Blind: to the first attempts of a burst (nothing is known of it yet), and to users who always come
    in bursts.
    From: two-state Poisson filter, see `kernels.arrivals`.
    """

    name: ClassVar[str] = "user_burst"
    type: ClassVar[AnomalyType] = AnomalyType.FREQUENCY
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = False

    def __init__(self, settings: DetectionSettings) -> None:
        self._rates = Rates(settings.user_burst)

    def states(self) -> Mapping[str, State]:
        """Return the users' rates and burst odds."""
        return {"": self._rates.state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score every attempt, whatever its status."""
        del so_far
        count = rows.features["user_count_20m"]
        every = np.ones(len(rows))
        return self._rates.score(rows, rows.user, rows.sizes["user"], every, count, days=20.0 / 1440.0)

    def sentence(self, found: Found) -> str:
        """Return the count beside the expected one."""
        return (
            f"{found.observed:.0f} attempts of this customer within 20 minutes, where {found.expected:.2g} "
            f"are usual {found.basis('attempts')}"
        )
