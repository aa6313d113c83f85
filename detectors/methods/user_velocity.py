"""More money in a day than this user usually spends."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from detectors.method import Evidence, Found
from detectors.rates import Rates
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State
from txwatch.model import AnomalyType

_LEAST, _MOST = 0.25, 2.0
"""A payment weighs at least and at most so many usual ones: a single large one is no velocity."""


class UserVelocity:
    """Money over a day or two against the user's own rate: each payment weighs amount / usual amount.

    Sees: many payments that are each somewhat large.
    Blind: to one large payment, which weighs two usual ones at most and belongs to `user_amount`.
    From: two-state Poisson filter over weighted events, see `kernels.arrivals`.
    """

    name: ClassVar[str] = "user_velocity"
    type: ClassVar[AnomalyType] = AnomalyType.VELOCITY
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = False

    def __init__(self, settings: DetectionSettings) -> None:
        self._rates = Rates(settings.user_velocity)

    def states(self) -> Mapping[str, State]:
        """Return the users' rates and burst odds."""
        return {"": self._rates.state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score every approved payment by the money of the day up to and with it."""
        del so_far
        usual = rows.features["usual_amount"]
        weight = np.clip(np.nan_to_num(rows.amount / usual, nan=1.0), _LEAST, _MOST) * rows.approved
        spent = rows.features["user_sum_1d"]
        found = self._rates.score(rows, rows.user, rows.sizes["user"], weight, spent, days=1.0)
        found.expected[:] *= usual
        return found

    def sentence(self, found: Found) -> str:
        """Return the day's sum beside the usual one."""
        who = "this customer" if found.is_own else "a customer"
        return (
            f"{found.money(found.observed)} {found.currency} within a day, where {who} usually "
            f"spends {found.money(found.expected)} {found.basis('payments')}"
        )
