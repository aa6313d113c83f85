"""When evidence becomes an anomaly: once per event, and again only when it grows graver."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from detectors.series.method import Floats, Records
from detectors.series.snapshot import dump_records, restored_records

NONE = -1

STATE = np.dtype([("last", np.int64), ("opened", np.int64), ("level", np.int64)], align=True)


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """An event of one series that is new, or graver than when it was last raised."""

    series: int
    opened: int
    """The window in which the event began; the anomaly keeps it."""
    level: int
    again: bool


class Events:
    """An event begins when evidence reaches the threshold and ends after a rest below it.

    Args:
        threshold: evidence from which on a window is strange.
        rest: windows below the threshold that end an event.
        steps: evidence at which an event reaches the next level, growing.
    """

    def __init__(self, threshold: float, rest: int, steps: tuple[float, ...]) -> None:
        self._threshold = threshold
        self._rest = rest
        self._steps = steps
        self._state: Records = np.zeros(0, STATE)

    def step(self, window: int, evidence: Floats) -> list[Raised]:
        """Return what this window begins or makes graver, by series number; nan evidence is none."""
        self._grow(len(evidence))
        strange = np.flatnonzero(np.nan_to_num(evidence) >= self._threshold)
        levels = np.searchsorted(self._steps, evidence[strange], side="right")
        found = [self._raised(int(n), window, int(level)) for n, level in zip(strange, levels, strict=True)]
        return [raised for raised in found if raised is not None]

    def dump(self) -> dict[str, Any]:
        """Return all state."""
        return dump_records("events", self._state)

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over a dump."""
        self._state = restored_records("events", np.zeros(0, STATE), kept)

    def _grow(self, count: int) -> None:
        if count > len(self._state):
            missing = np.zeros(count - len(self._state), STATE)
            missing["last"] = missing["opened"] = NONE
            self._state = np.concatenate([self._state, missing])

    def _raised(self, series: int, window: int, level: int) -> Raised | None:
        s = self._state[series]
        running = s["last"] != NONE and window - s["last"] <= self._rest
        s["last"] = window
        if running and level <= s["level"]:
            return None
        if not running:
            s["opened"] = window
        s["level"] = level
        return Raised(series=series, opened=int(s["opened"]), level=level, again=bool(running))
