"""Compiling and loading what the traffic watch needs, before the first window closes."""

import numpy as np

from detectors.series.bank import ProfileBank
from detectors.series.stl import DAY_HOURS, SEASONS, next_season


def warm_up() -> None:
    """Run one made-up window and one refit; seconds on a fresh machine, less from the cache."""
    one = np.ones(1)
    ProfileBank(60.0).step(0, one, one, np.zeros(1))
    next_season(np.arange(float(SEASONS * DAY_HOURS)), DAY_HOURS)
