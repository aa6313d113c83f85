"""Declined attempts in a row, of one customer."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from detectors.method import Evidence, Found
from detectors.rates import Rates
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State
from txwatch.model import AnomalyType

_AFTERMATH = 1.0
"""Log odds taken off a row that is not declined but comes among declined ones."""


class UserDeclined:
    """Declined attempts within an hour against the user's own rate of them.

    Sees: a stolen card tried until it works, and the payment that then works.
    Blind: where the feed carries no declined attempts.
    From: two-state Poisson filter over declined attempts, see `kernels.arrivals`.
    """

    name: ClassVar[str] = "user_declined"
    type: ClassVar[AnomalyType] = AnomalyType.PATTERN
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = False

    def __init__(self, settings: DetectionSettings) -> None:
        self._rates = Rates(settings.user_declined, aftermath=_AFTERMATH)

    def states(self) -> Mapping[str, State]:
        """Return the users' rates of declined attempts and burst odds."""
        return {"": self._rates.state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score every row by the declined attempts up to and with it."""
        del so_far
        count = rows.features["user_declined_1h"]
        return self._rates.score(rows, rows.user, rows.sizes["user"], rows.declined, count, days=1.0 / 24.0)

    def sentence(self, found: Found) -> str:
        """Return the count beside the expected one."""
        return (
            f"{found.observed:.0f} declined attempts of this customer within an hour, where "
            f"{found.expected:.2g} are usual {found.basis('declined before')}"
        )
