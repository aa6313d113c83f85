"""Payments far from where this user usually pays."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from detectors.expectation import Expectation
from detectors.method import Evidence, Found
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State
from txwatch.model import AnomalyType

_NEAR_KM = 1.0


class Distance:
    """The distance from the user's own centre against the user's usual distance.

    Sees: a card used in another region, also after days of it.
    Blind: without latitude and longitude, and to users who travel all the time.
    From: as `user_amount`, on kilometres.
    """

    name: ClassVar[str] = "distance"
    type: ClassVar[AnomalyType] = AnomalyType.PLACE
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = False

    def __init__(self, settings: DetectionSettings) -> None:
        self._expectation = Expectation(settings.distance)

    def states(self) -> Mapping[str, State]:
        """Return the users' usual distances."""
        return {"": self._expectation.state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score rows with a place, everything within a kilometre being equally near."""
        del so_far
        distance = np.maximum(rows.features["distance_km"], _NEAR_KM)
        return self._expectation.score(
            rows, distance, rows.user, rows.sizes["user"], learn=np.ones(len(rows))
        )

    def sentence(self, found: Found) -> str:
        """Return the distance beside the usual one."""
        return (
            f"{found.observed:,.0f} km from the centre of this customer's places, {found.times} times the "
            f"usual {found.expected:,.0f} km {found.basis('payments')}"
        )
