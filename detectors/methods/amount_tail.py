"""Amounts that are large for anybody."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from detectors.kernels.histogram import BINS
from detectors.kernels.stretch import POPULATION_LEVEL
from detectors.kernels.tail import FIT_WIDTH, population_tail
from detectors.method import Evidence, Found, blank
from detectors.rows import Rows
from detectors.settings import DetectionSettings
from detectors.state import State, Table
from txwatch.model import AnomalyType


class AmountTail:
    """The amount against the tail of all amounts of its currency.

    Sees: amounts beyond what nearly anybody ever pays, also of users without a past.
    Blind: to everything that would be an ordinary amount for somebody.
    From: a tail fitted to quantiles, see `kernels.tail`.
    """

    name: ClassVar[str] = "amount_tail"
    type: ClassVar[AnomalyType] = AnomalyType.AMOUNT
    entity_kind: ClassVar[str] = "user"
    is_bounded: ClassVar[bool] = True

    def __init__(self, settings: DetectionSettings) -> None:
        self._state = State(counts=Table("group", (BINS,)), fits=Table("group", (FIT_WIDTH,)))
        tail = settings.amount_tail
        self._settings = np.array([tail.even_at, tail.gain, tail.warm_up, 32768.0])

    def states(self) -> Mapping[str, State]:
        """Return the tails, one for each population of amounts."""
        return {"": self._state}

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score every amount and learn it, whatever its status."""
        del so_far
        self._state.grow(group=rows.sizes["group"])
        found = blank(np.empty(len(rows)))
        counts, fits = self._state["counts"], self._state["fits"]
        population_tail(
            rows.amount,
            rows.group,
            counts,
            fits,
            self._settings,
            found.log_odds,
            found.expected,
            found.size,
        )
        found.observed[:] = rows.amount
        found.level[:] = POPULATION_LEVEL
        return found

    def sentence(self, found: Found) -> str:
        """Return what nearly all payments stay below."""
        return (
            f"{found.money(found.observed)} {found.currency} is far beyond what customers pay: 99 % of "
            f"{found.size:,} payments were below {found.money(found.expected)}"
        )
