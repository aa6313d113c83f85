"""Amounts that are large for this merchant, whoever pays."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from detectors.expectation import Expectation
from detectors.method import Evidence, Found
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State
from txwatch.model import AnomalyType


class MerchantAmount:
    """The amount against what its user usually spends and what users usually spend more or less here.

    Sees: a merchant that inflates amounts for days, even by a factor of two; an amount that does not
    fit this merchant.
    Blind: to one single odd payment (`row_limit`): that is the user's doing, or the tail's.
    From: as `user_amount`, on amount / user's mean, per merchant; peers are the merchant's category.
    """

    name: ClassVar[str] = "merchant_amount"
    type: ClassVar[AnomalyType] = AnomalyType.AMOUNT
    entity_kind: ClassVar[str] = "merchant"
    is_bounded: ClassVar[bool] = True

    def __init__(self, settings: DetectionSettings) -> None:
        self._merchants = Expectation(settings.merchant_amount, stand_in=True)

    def states(self) -> Mapping[str, State]:
        """Return the merchants' factors and the density of the ratio."""
        return {"": self._merchants.state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score every amount; only approved ones are learnt."""
        del so_far
        usual = rows.features["usual_amount"]
        found = self._merchants.score(
            rows,
            rows.amount / usual,
            rows.merchant_money,
            rows.sizes["merchant_money"],
            learn=rows.approved,
            group=rows.group,
            segment=rows.segment,
        )
        found.expected[:] *= usual
        found.observed[:] = rows.amount
        return found

    def sentence(self, found: Found) -> str:
        """Return how the amount compares with what this customer would spend at this merchant."""
        whose = {"entity": "this merchant", "segment": "merchants of this kind"}.get(
            found.level, "a merchant"
        )
        return (
            f"{found.money(found.observed)} {found.currency} is {found.times} times what this customer would "
            f"spend at {whose} ({found.money(found.expected)}, from {found.size} payments there)"
        )
