"""The profiles of many series, advanced together, one window at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from detectors.series.again import amend_series, judge, stretch
from detectors.series.method import Floats, Record, Records, Times
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

    def step(self, local_ms: int, days: Times, values: Floats, exposures: Floats, largest: Floats) -> Records:
        """Score one window of every series, then learn from it.

        Args:
            local_ms: start of the window on the local clock.
            days: which day it counts as for each series (`days.Days`), shape (series,).
            values: what was seen, shape (series,); nan: nothing to be seen.
            exposures: 1, or what the value is a share of, shape (series,).
            largest: the largest single part of a value that is a sum of unequal parts, else 0.

        Returns:
            One RESULT a series, shape (series,).
        """
        self._grow(len(values))
        out: Records = np.zeros(len(values), RESULT)
        advance_series(self._state, local_ms, days, values, exposures, largest, out)
        return out

    def amend(self, ages: Times, clocks: Times, days: Times, before: Records, after: Records) -> Records:
        """Correct windows of so long ago; return one RESULT by age and series, nan where none is new.

        See `again.amend_series`; ages count windows back from the one that was scored last.
        """
        out: Records = np.zeros((int(ages.max()) + 1, len(self._state)), RESULT)
        out["evidence"] = np.nan
        amend_series(self._state, ages, clocks, days, before, after, out)
        return out

    def judged(self, series: int, age: int, day: int) -> Record:
        """Return the RESULT of a window of so long ago of one series, as it is scored now."""
        out: Records = np.zeros(1, RESULT)
        judge(self._state[series], age, day, out[0])
        return out[0]

    def stretch(self, series: int, age: int, rows: int) -> Record:
        """Return what was seen and due in just these windows, the last of them so long ago; no evidence."""
        out: Records = np.zeros(1, RESULT)
        stretch(self._state[series], age, rows, out[0])
        return out[0]

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
