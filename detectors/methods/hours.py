"""Activity in hours in which this user is usually quiet."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from detectors.kernels.hours import ENTITY_WIDTH, ODDS_LIMIT, hour_evidence
from detectors.kernels.stretch import ENTITY_LEVEL, POPULATION_LEVEL
from detectors.method import Evidence, Found, blank
from detectors.rates import arrival_state
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State
from txwatch.model import AnomalyType

_AVERAGE_SHARE = 1.0 / 24.0
"""What an hour would have if all were alike: what the expected share is compared with."""


class UnusualHours:
    """Payments in the user's own quiet hours, over nights, against how often they come there.

    Sees: several payments over some nights of somebody who sleeps then.
    Blind: to a single one (everybody is awake once), and to users whose profile is flat.
    From: two-state Poisson filter in quiet hours, see `kernels.hours`.
    """

    name: ClassVar[str] = "hours"
    type: ClassVar[AnomalyType] = AnomalyType.TIME
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = False

    def __init__(self, settings: DetectionSettings) -> None:
        self._state = arrival_state(ENTITY_WIDTH)
        hours = settings.hours
        self._own_from = hours.prior_rows
        self._settings = np.array(
            [
                hours.surge,
                hours.onset,
                hours.memory_days,
                hours.prior_days,
                hours.rate_memory_days,
                hours.warm_up,
                0.0,
                ODDS_LIMIT,
                hours.quiet,
                hours.prior_rows,
            ]
        )

    def states(self) -> Mapping[str, State]:
        """Return the users' hours, rates and odds."""
        return {"": self._state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score every row by its hour."""
        del so_far
        self._state.grow(entity=rows.sizes["user"])
        found = blank(np.empty(len(rows)))
        states, shared = self._state["states"], self._state["shared"]
        hour_evidence(
            rows.times,
            rows.user,
            states,
            shared,
            self._settings,
            found.log_odds,
            found.expected,
            found.size,
        )
        found.observed[:] = _AVERAGE_SHARE
        found.level[:] = np.where(found.size >= self._own_from, ENTITY_LEVEL, POPULATION_LEVEL)
        return found

    def sentence(self, found: Found) -> str:
        """Return how rarely the user pays at this hour."""
        whose = "this customer's" if found.is_own else "a customer's"
        return (
            f"another payment at {found.row['timestamp']:%H:%M} UTC, an hour in which only "
            f"{100 * found.expected:.1f} % of {whose} payments are expected "
            f"{found.basis('payments')}"
        )
