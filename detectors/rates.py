"""An entity's own rate of events, with the filter that tells bursts from chance."""

from math import exp

import numpy as np

from detectors.kernels.arrivals import ENTITY_WIDTH, HOUR_SUM, HOURS, SHARED_WIDTH, arrival_evidence
from detectors.kernels.stretch import ENTITY_LEVEL, POPULATION_LEVEL
from detectors.method import Evidence, blank
from detectors.rows import Rows
from detectors.settings import Arrivals
from detectors.state import State, Table
from detectors.types import Floats, Rows32

_START = 50.0
"""Events that every hour is taken to have had before the first."""

SILENT_AFTERWARDS = -1.0
"""Rows that are no events stay silent."""


def arrival_state(width: int) -> State:
    """Return the state of arrivals of entities with `width` numbers each, every hour equally busy."""
    state = State(states=Table("entity", (width,)), shared=Table("", (), rows_each=SHARED_WIDTH))
    state["shared"][HOURS:] = _START
    state["shared"][HOUR_SUM] = 24 * _START
    return state


class Rates:
    """The state and settings of one burst filter (see `kernels.arrivals`)."""

    def __init__(self, settings: Arrivals, *, aftermath: float = SILENT_AFTERWARDS) -> None:
        self.state = arrival_state(ENTITY_WIDTH)
        self._prior = settings.prior_days
        self._settings = np.array(
            [
                settings.surge,
                settings.onset,
                settings.memory_days,
                settings.prior_days,
                settings.rate_memory_days,
                settings.warm_up,
                aftermath,
                exp(settings.certainty),
            ],
            dtype=np.float64,
        )

    def score(
        self, rows: Rows, entity: Rows32, entities: int, event: Floats, observed: Floats, days: float
    ) -> Evidence:
        """Score events; `observed` is their count within `days`, for the reason's sentence."""
        self.state.grow(entity=entities)
        found = blank(np.empty(len(rows)))
        arrival_evidence(
            rows.times,
            entity,
            event,
            self.state["states"],
            self.state["shared"],
            self._settings,
            found.log_odds,
            found.expected,
            found.size,
        )
        found.expected[:] *= days
        found.observed[:] = observed
        found.level[:] = np.where(found.size >= self._prior, ENTITY_LEVEL, POPULATION_LEVEL)
        return found
