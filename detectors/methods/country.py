"""A country in which this user has never paid."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from detectors.kernels.novelty import LEVELS, WIDTH, novelty_evidence
from detectors.kernels.stretch import ENTITY_LEVEL
from detectors.method import Evidence, Found, blank
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State, Table
from txwatch.model import AnomalyType


class NewCountry:
    """A first-seen country against how often users with as long a past come to a new one.

    Sees: the first payment abroad of somebody who always stays at home.
    Blind: without a country, to the user's first payment, and where everybody travels.
    From: a likelihood ratio of two coins, see `kernels.novelty`.
    """

    name: ClassVar[str] = "country"
    type: ClassVar[AnomalyType] = AnomalyType.PLACE
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = True

    def __init__(self, settings: DetectionSettings) -> None:
        self._state = State(levels=Table("", (WIDTH,), rows_each=LEVELS))
        country = settings.country
        self._settings = np.array([country.onset, country.share, country.warm_up])

    def states(self) -> Mapping[str, State]:
        """Return how often a country was new, by length of the past."""
        return {"": self._state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score rows with a country, then learn them."""
        del so_far
        found = blank(np.empty(len(rows)))
        past = rows.features["user_count"]
        novelty_evidence(
            rows.features["country_is_new"],
            past,
            self._state["levels"],
            self._settings,
            found.log_odds,
            found.expected,
        )
        found.observed[:] = rows.features["country_is_new"]
        found.size[:] = past
        found.level[:] = ENTITY_LEVEL
        return found

    def sentence(self, found: Found) -> str:
        """Return the country and how rare a new one is."""
        return (
            f"first payment in {found.row['country']} of this customer ({found.size} payments known), which "
            f"happens in {100 * found.expected:.2g} % of the payments of such customers"
        )
