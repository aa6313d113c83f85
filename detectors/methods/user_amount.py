"""Amounts that are large for this user."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import numpy as np

from detectors.expectation import Expectation
from detectors.method import Evidence, Found
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State
from txwatch.model import AnomalyType

_RATED: Final = 0
"""The population of amounts in the base currency: only they have peers, since others are of any size."""


class UserAmount:
    """The amount against the user's own mean, carried on over days while the user is compromised.

    Of a user of whom little is known, against what is usual at merchants of this category, else anywhere.

    Sees: one payment many times the usual; a run of payments of which a part is five times the usual,
    even where the usual is small.
    Blind: to amounts in the usual range, and while the population has fewer rows than `warm_up`.
    From: likelihood ratio of a stretched density with a two-state filter, see `kernels.stretch`.
    """

    name: ClassVar[str] = "user_amount"
    type: ClassVar[AnomalyType] = AnomalyType.AMOUNT
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = True

    def __init__(self, settings: DetectionSettings) -> None:
        self._expectation = Expectation(settings.user_amount)

    def states(self) -> Mapping[str, State]:
        """Return the users' means and the density of the ratio."""
        return {"": self._expectation.state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score every amount; only approved ones are learnt."""
        del so_far
        return self._expectation.score(
            rows,
            rows.amount,
            rows.user_money,
            rows.sizes["user_money"],
            learn=rows.approved,
            group=rows.group,
            segment=np.where(rows.group == _RATED, rows.segment, -1).astype(np.int32),
        )

    def sentence(self, found: Found) -> str:
        """Return how many times the usual amount this is."""
        amount = f"{found.money(found.observed)} {found.currency}"
        if found.is_own:
            return (
                f"{amount} is {found.times} times what this customer usually spends "
                f"({found.money(found.expected)}, from {found.size} payments)"
            )
        where = " at merchants of this kind" if found.level == "segment" else ""
        return (
            f"{amount} is {found.times} times what is usual{where} for a customer with {found.size} known "
            f"payments ({found.money(found.expected)})"
        )
