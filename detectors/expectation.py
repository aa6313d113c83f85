"""An entity's own expectation of a value, with the filter that tells stretched rows from usual ones."""

import numpy as np

from detectors.kernels.histogram import BINS
from detectors.kernels.means import MEAN_WIDTH
from detectors.kernels.standin import WIDTH as STAND_IN_WIDTH
from detectors.kernels.standin import stand_in_evidence
from detectors.kernels.stretch import ENTITY_WIDTH, LEVELS, stretch_evidence
from detectors.kernels.tail import FIT_WIDTH
from detectors.method import Evidence, blank
from detectors.rows import Rows
from detectors.settings import Stretch
from detectors.state import State, Table
from detectors.types import Floats, Rows32


class Expectation:
    """The state and settings of one stretched likelihood ratio (see `kernels.stretch`).

    With `stand_in`, what it would find by chance is scored beside it (see `kernels.standin`).
    """

    def __init__(self, settings: Stretch, *, stand_in: bool = False) -> None:
        self._stand_in = stand_in
        tables = {
            "stand_in": Table("entity", (STAND_IN_WIDTH,)),
            "before": Table("", ()),
        }
        self.state = State(
            **(tables if stand_in else {}),
            states=Table("entity", (ENTITY_WIDTH,)),
            segments=Table("segment", (MEAN_WIDTH,)),
            groups=Table("group", (MEAN_WIDTH,)),
            counts=Table("group", (BINS,), rows_each=LEVELS),
            fits=Table("group", (FIT_WIDTH,), rows_each=LEVELS),
            tables=Table("group", (BINS,), rows_each=LEVELS),
        )
        self._settings = np.array(
            [
                settings.prior_rows,
                settings.onset,
                settings.memory_days,
                settings.share,
                settings.row_limit,
                settings.warm_up,
                settings.keep_rows,
                *settings.stretches,
            ],
            dtype=np.float64,
        )

    def score(
        self,
        rows: Rows,
        values: Floats,
        entity: Rows32,
        entities: int,
        *,
        learn: Floats,
        group: Rows32 | None = None,
        segment: Rows32 | None = None,
    ) -> Evidence:
        """Score values (NaN stays silent) of entities against their expectation, then learn them."""
        state = self.state
        state.grow(entity=entities, group=rows.sizes["group"], segment=max(rows.sizes["segment"], 1))
        found = blank(np.empty(len(rows)))
        ratios = np.empty(len(rows))
        stretch_evidence(
            rows.times,
            values,
            entity,
            np.full(len(rows), -1, dtype=np.int32) if segment is None else segment,
            np.zeros(len(rows), dtype=np.int32) if group is None else group,
            learn,
            state["states"],
            state["segments"],
            state["groups"],
            state["counts"],
            state["fits"],
            state["tables"],
            self._settings,
            found.log_odds,
            ratios,
            found.expected,
            found.size,
            found.level,
        )
        found.observed[:] = values
        if self._stand_in:
            self._score_stand_in(rows, entity, ratios, found)
        return found

    def _score_stand_in(self, rows: Rows, entity: Rows32, ratios: Floats, found: Evidence) -> None:
        stand_in_evidence(
            rows.times,
            entity,
            ratios,
            self.state["stand_in"],
            self.state["before"],
            self._settings,
            found.by_chance,
        )
