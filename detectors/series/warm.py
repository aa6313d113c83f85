"""Compiling and loading what the traffic watch needs, before the first window closes."""

import numpy as np

from detectors.series.bank import ProfileBank
from detectors.series.past import seen_of
from detectors.series.stl import SEASONS, WEEK_HOURS, next_season


def warm_up() -> None:
    """Run one made-up window and one refit; seconds on a fresh machine, less from the cache."""
    one = np.ones(1)
    bank, seen = ProfileBank(60.0), seen_of(one, one, np.zeros(1))[np.newaxis]
    row, table = np.zeros(1, np.int64), np.zeros((1, 1), np.int64)
    bank.step(0, row, one, one, np.zeros(1))
    bank.amend(row, row, table, seen, seen)
    bank.judged(0, 0, 0)
    bank.stretch(0, 0, 1)
    next_season(np.arange(float(SEASONS * WEEK_HOURS)), WEEK_HOURS)
