"""Payments of a merchant of whom others were confirmed as frauds."""

from typing import ClassVar

from detectors.feedback import ConfirmedMethod
from detectors.method import Found


class MerchantConfirmed(ConfirmedMethod):
    """What the confirmed frauds of this merchant's earlier payments say about the next ones.

    Sees: a compromised terminal or shop, a label delay after it began, even where the payments look ordinary.
    Blind: without labels, and for the days of the delay.
    From: analyst feedback, see `feedback`.
    """

    name: ClassVar[str] = "merchant_confirmed"
    entity_kind: ClassVar[str] = "merchant"

    def sentence(self, found: Found) -> str:
        """Return the confirmed frauds among the payments whose labels are due."""
        return (
            f"{found.observed:.0f} of {found.size} earlier payments at this merchant are confirmed frauds, "
            f"where {found.expected:.2g} are usual"
        )
