"""The profiles of many series, advanced together, one window at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from detectors.series.method import Floats, Records
from detectors.series.profile import RESULT, advance_series, new_state
from detectors.series.snapshot import dump_records, restored_records


class ProfileBank:
    """A profile for each series; new series are added at the end.

    Args:
        interval_seconds: length of a window.
    """

    def __init__(self, interval_seconds: float) -> None:
        self._interval = interval_seconds
        self._state = new_state(interval_seconds, 0)

    def step(self, local_ms: int, values: Floats, exposures: Floats, largest: Floats) -> Records:
        """Score one window of every series, then learn from it.

        Args:
            local_ms: start of the window on the local clock.
            values: what was seen, shape (series,); nan: nothing to be seen.
            exposures: 1, or what the value is a share of, shape (series,).
            largest: the largest single part of a value that is a sum of unequal parts, else 0.

        Returns:
            One RESULT a series, shape (series,).
        """
        self._grow(len(values))
        out: Records = np.zeros(len(values), RESULT)
        advance_series(self._state, local_ms, values, exposures, largest, out)
        return out

    def windows_seen(self) -> Records:
        """Return how many windows each series has had, shape (series,)."""
        return np.asarray(self._state["rows"])

    def dump(self) -> dict[str, Any]:
        """Return all state."""
        return dump_records("bank", self._state)

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over a dump."""
        self._state = restored_records("bank", new_state(self._interval, 0), kept)

    def _grow(self, count: int) -> None:
        missing = count - len(self._state)
        if missing > 0:
            self._state = np.concatenate([self._state, new_state(self._interval, missing)])
