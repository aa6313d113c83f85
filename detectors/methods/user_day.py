"""Many attempts of one user over hours and days."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from detectors.method import Evidence, Found
from detectors.rates import Rates
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State
from txwatch.model import AnomalyType


class UserDay:
    """Attempts over a day or two against the user's own rate.

    Sees: a card used several times as often as usual for a day, each payment ordinary by itself.
    Blind: to the first hours of it, and to which payments within it are the holder's own.
    From: two-state Poisson filter, see `kernels.arrivals`.
    """

    name: ClassVar[str] = "user_day"
    type: ClassVar[AnomalyType] = AnomalyType.FREQUENCY
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = False

    def __init__(self, settings: DetectionSettings) -> None:
        self._rates = Rates(settings.user_day)

    def states(self) -> Mapping[str, State]:
        """Return the users' rates and burst odds."""
        return {"": self._rates.state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score every attempt, whatever its status."""
        del so_far
        count = rows.features["user_count_1d"]
        return self._rates.score(rows, rows.user, rows.sizes["user"], np.ones(len(rows)), count, days=1.0)

    def sentence(self, found: Found) -> str:
        """Return the count beside the expected one."""
        return (
            f"{found.observed:.0f} attempts of this customer within a day, where {found.expected:.2g} "
            f"are usual {found.basis('attempts')}"
        )
