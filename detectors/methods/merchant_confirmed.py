"""Payments of a merchant of whom others were confirmed as frauds."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from detectors.feedback import Confirmed
from detectors.kernels.stretch import ENTITY_LEVEL
from detectors.method import Evidence, Found, blank
from detectors.rows import Reported, Rows
from detectors.settings import DetectionSettings, Feedback
from detectors.state import State
from txwatch.model import AnomalyType


class MerchantConfirmed:
    """What the confirmed frauds of this merchant's earlier payments say about the next ones.

    Sees: a compromised terminal or shop, a label delay after it began, even where the payments look ordinary.
    Blind: without labels, and for the days of the delay.
    From: analyst feedback, see `feedback`.
    """

    name: ClassVar[str] = "merchant_confirmed"
    type: ClassVar[AnomalyType] = AnomalyType.PATTERN
    entity_kind: ClassVar[str] = "merchant"
    is_bounded: ClassVar[bool] = True

    def __init__(self, settings: DetectionSettings) -> None:
        self._confirmed = Confirmed(settings.feedback or Feedback())

    def states(self) -> Mapping[str, State]:
        """Return the counts by day, the kept sample, the labels and the model."""
        return {"": self._confirmed.state}

    def confirm(self, frauds: Reported) -> None:
        """Learn that these payments were frauds."""
        self._confirmed.confirm(frauds.times, frauds.keys, frauds.merchant, frauds.sizes["merchant"])

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score payments of merchants with a confirmed fraud; the others are silent."""
        del so_far
        log_odds, totals = self._confirmed.score(rows.times, rows.keys, rows.merchant, rows.sizes["merchant"])
        found = blank(log_odds)
        found.observed[:], found.size[:] = totals
        found.expected[:] = totals[1] * self._confirmed.usual
        found.level[:] = ENTITY_LEVEL
        return found

    def sentence(self, found: Found) -> str:
        """Return the confirmed frauds among the payments whose labels are due."""
        return (
            f"{found.observed:.0f} of {found.size} earlier payments at this merchant are confirmed frauds, "
            f"where {found.expected:.2g} are usual"
        )
