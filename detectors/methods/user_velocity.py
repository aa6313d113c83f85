"""More money in a day than this user usually spends."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from detectors.expectation import Expectation
from detectors.kernels.windows import window_totals
from detectors.method import Evidence, Found
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State, Table
from txwatch.model import AnomalyType

_SLOTS = 24
_HOUR = 3_600_000
_CLIP = 1.5


class UserVelocity:
    """The sum of a day's amounts against the user's own usual sum.

    Sees: many payments that are each somewhat large.
    Blind: to one large payment, which counts as one and a half usual ones at most and belongs to `user_amount`.
    From: as `user_amount`, on sums over 24 hourly buckets.
    """

    name: ClassVar[str] = "user_velocity"
    type: ClassVar[AnomalyType] = AnomalyType.VELOCITY
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = False

    def __init__(self, settings: DetectionSettings) -> None:
        self._expectation = Expectation(settings.user_velocity)
        self._window = State(sums=Table("entity", (1 + _SLOTS,)), newest=Table("entity", (), "i8"))

    def states(self) -> Mapping[str, State]:
        """Return the users' sums of the last day and what is usual for them."""
        return {"window": self._window, "expectation": self._expectation.state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score the day's sum with this row; only approved rows add to it."""
        del so_far
        users = rows.sizes["user_money"]
        self._window.grow(entity=users)
        median = rows.features["user_amount_median"]
        spent = np.fmin(rows.amount, _CLIP * np.nan_to_num(median)) * rows.approved
        total = np.empty(len(rows))
        sums, newest = self._window["sums"], self._window["newest"]
        window_totals(rows.times, rows.user_money, spent, sums, newest, _HOUR, total)
        learn = rows.approved
        return self._expectation.score(rows, total, rows.user_money, users, learn=learn, group=rows.group)

    def sentence(self, found: Found) -> str:
        """Return the day's sum beside the usual one."""
        return (
            f"{found.money(found.observed)} {found.currency} within a day is {found.times} times what this "
            f"customer usually spends in one ({found.money(found.expected)}, from {found.size} payments)"
        )
