"""The time between the rows of a series, learnt from its first rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from detectors.series.method import Times
from txwatch.errors import SnapshotError

NEEDED = 64


class Sampling:
    """The median of the first 64 steps forward in time, unless it is given.

    Args:
        seconds: the interval, where it is known beforehand.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds or 0.0
        self._last: int | None = None
        self._steps: list[int] = []

    @property
    def known(self) -> bool:
        """Whether the interval is known."""
        return self._seconds > 0

    @property
    def seconds(self) -> float:
        """The interval in seconds; 0 while it is unknown."""
        return self._seconds

    def see(self, times_ms: Times) -> int:
        """Learn from these rows; returns after how many of them the interval was known (or all)."""
        for used, time in enumerate(times_ms.tolist(), start=1):
            if self._last is not None and time > self._last:
                self._steps.append(time - self._last)
            self._last = time
            if len(self._steps) == NEEDED:
                self._seconds = float(np.median(self._steps)) / 1000.0
                return used
        return len(times_ms)

    def dump(self) -> dict[str, Any]:
        """Return all state."""
        return {
            "sampling.seconds": self._seconds,
            "sampling.last": np.array([] if self._last is None else [self._last], np.int64),
            "sampling.steps": np.array(self._steps, np.int64),
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over a dump; raises SnapshotError for one of another version."""
        try:
            self._seconds = float(kept["sampling.seconds"])
            last = np.asarray(kept["sampling.last"]).tolist()
            self._steps = np.asarray(kept["sampling.steps"]).tolist()
        except KeyError as missing:
            raise SnapshotError(f"the snapshot of a series detector lacks {missing}") from missing
        self._last = last[0] if last else None
