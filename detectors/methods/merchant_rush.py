"""Many attempts at one merchant over hours."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from detectors.method import Evidence, Found
from detectors.rates import Rates
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State
from txwatch.model import AnomalyType


class MerchantRush:
    """Attempts within half a day against the merchant's own rate at this hour.

    Sees: a terminal or shop that is suddenly used many times as often, by whomever.
    Blind: to the first attempts, to a merchant's opening weeks, and to a rush of less than about
    twice the usual.
    From: two-state Poisson filter, see `kernels.arrivals`.
    """

    name: ClassVar[str] = "merchant_rush"
    type: ClassVar[AnomalyType] = AnomalyType.FREQUENCY
    entity_kind: ClassVar[str] = "merchant"
    is_bounded: ClassVar[bool] = False

    def __init__(self, settings: DetectionSettings) -> None:
        self._rates = Rates(settings.merchant_rush)

    def states(self) -> Mapping[str, State]:
        """Return the merchants' rates and burst odds."""
        return {"": self._rates.state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score every attempt, whatever its status."""
        del so_far
        count = rows.features["merchant_count_12h"]
        merchants = rows.sizes["merchant"]
        return self._rates.score(rows, rows.merchant, merchants, np.ones(len(rows)), count, days=0.5)

    def sentence(self, found: Found) -> str:
        """Return the count beside the expected one."""
        return (
            f"{found.observed:.0f} attempts at this merchant within 12 hours, where {found.expected:.2g} "
            f"are usual {found.basis('attempts')}"
        )
