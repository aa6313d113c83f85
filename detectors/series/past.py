"""The windows of the last hours as they were judged, for what comes late."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.series.method import Floats, Records
from detectors.series.profile import LONGEST, RING, window_rows
from detectors.series.snapshot import dump_records

Places = npt.NDArray[np.intp]

SEEN = np.dtype([("value", np.float64), ("exposure", np.float64), ("largest", np.float64)], align=True)
JUDGED = np.dtype(
    [*((name, np.float64) for name in (*(SEEN.names or ()), "expected", "low", "high", "evidence"))],
    align=True,
)
"""Of one window of one series: what was seen (value nan: nothing; exposure -1: there was no such series yet),
the band that people see, and the evidence."""


class Past:
    """The last `span` windows of every series.

    Args:
        seconds: length of a window.
        minutes: how far back windows are judged again; at most as far as the profiles remember.
    """

    def __init__(self, seconds: int, minutes: float) -> None:
        furthest = RING - min(max(window_rows(seconds)), LONGEST)
        self.span = max(0, min(round(minutes * 60 / seconds), furthest))
        self._state = _nothing(max(self.span, 1), 0)
        self._newest: int | None = None
        self._filled = 0

    @property
    def oldest(self) -> int:
        """The first window that is remembered."""
        return self.newest - self._filled + 1

    @property
    def newest(self) -> int:
        """The last window that was judged; -1 before the first."""
        return -1 if self._newest is None else self._newest

    def holds(self, window: int) -> bool:
        """Tell whether this window may still be judged again."""
        return self._newest is not None and self.oldest <= window <= self._newest

    def keep(self, window: int, judged: Records) -> None:
        """Remember a window as it was judged, shape (series,)."""
        if self._newest is not None and window != self._newest + 1:
            self._filled = 0
        self._newest, self._filled = window, min(self._filled + 1, self.span)
        missing = len(judged) - self._state.shape[1]
        if missing > 0:
            self._state = np.concatenate([self._state, _nothing(len(self._state), missing)], axis=1)
        self._state[window % len(self._state)] = judged

    def row(self, window: int) -> Records:
        """Return a window that is held, shape (series,); changing it changes what is remembered."""
        return np.asarray(self._state[window % len(self._state)])

    def correct(self, windows: Sequence[int], seen: Records, evidence: Floats) -> list[tuple[int, Places]]:
        """Take over what was seen (SEEN, shape (windows, series)), and evidence by age and series.

        Evidence of nan was not judged again.  Returns each window with the series that changed in it.
        """
        changed = {}
        for window, row in zip(windows, seen, strict=True):
            kept = self.row(window)
            changed[window] = ~_same(kept, row)
            _copy_seen(row, kept)
        for age, row in enumerate(evidence):
            window = self.newest - age
            kept = self.row(window)
            new = np.isfinite(row) & (kept["exposure"] > 0) & (row != kept["evidence"])
            kept["evidence"][new] = row[new]
            changed[window] = changed.get(window, False) | new
        return [(window, np.flatnonzero(which)) for window, which in sorted(changed.items())]

    def evidence(self, series: int) -> Floats:
        """Return the evidence of a series in all windows that are held, the oldest first."""
        places = np.arange(self.oldest, self.newest + 1) % len(self._state)
        return np.asarray(self._state["evidence"][places, series])

    def dump(self) -> dict[str, Any]:
        """Return all state."""
        return dump_records("past", self._state) | {
            "past.newest": np.array([] if self._newest is None else [self._newest], np.int64),
            "past.filled": self._filled,
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over a dump; one of another span holds nothing that could be judged again."""
        newest = np.asarray(kept["past.newest"]).tolist()
        self._newest = newest[0] if newest else None
        columns = {name: np.asarray(kept[f"past.{name}"]) for name in JUDGED.names or ()}
        windows, series = columns["value"].shape
        self._filled = int(kept["past.filled"]) if windows == len(self._state) else 0
        self._state = _nothing(len(self._state), series)
        if self._filled:
            for name, column in columns.items():
                self._state[name] = column


def judged_of(seen: Records, band: Records, shares: Floats) -> Records:
    """Return what is remembered of a window: what was seen, and a RESULT, shape (series,) each.

    `shares` are what values are a share of, at least 1; bands are kept per unit of them.
    """
    out: Records = np.zeros(len(seen), JUDGED)
    _copy_seen(seen, out)
    for name in ("expected", "low", "high"):
        out[name] = band[name] / shares
    out["evidence"] = band["evidence"]
    return out


def seen_of(values: Floats, exposures: Floats, largest: Floats) -> Records:
    """Return what was seen in one window as records, shape (series,)."""
    out: Records = np.zeros(len(values), SEEN)
    out["value"], out["exposure"], out["largest"] = values, exposures, largest
    return out


def seen_in(judged: Records) -> Records:
    """Return what was seen in windows as they were judged."""
    out: Records = np.zeros(judged.shape, SEEN)
    _copy_seen(judged, out)
    return out


def with_late(judged: Records, late: Records, shares: npt.NDArray[np.bool_]) -> Records:
    """Return what was seen in windows with what came late, shape (windows, series).

    `shares` tells which series are shares; those that did not exist in that window stay as they are.
    """
    out: Records = np.zeros(judged.shape, SEEN)
    there = (judged["exposure"] > 0) | (shares & (judged["exposure"] == 0) & (late["exposure"] > 0))
    out["exposure"] = judged["exposure"] + np.where(shares & there, late["exposure"], 0.0)
    value = np.nan_to_num(judged["value"]) + np.where(there, np.nan_to_num(late["value"]), 0.0)
    # Amounts are whole thousandths; a sum of two of them is brought back to one.
    out["value"] = np.where(out["exposure"] > 0, np.rint(value * 1000.0) / 1000.0, np.nan)
    out["largest"] = np.maximum(judged["largest"], np.where(there, late["largest"], 0.0))
    return out


def _copy_seen(source: Records, into: Records) -> None:
    for name in SEEN.names or ():
        into[name] = source[name]


def _same(one: Records, other: Records) -> npt.NDArray[np.bool_]:
    value = (one["value"] == other["value"]) | (np.isnan(one["value"]) & np.isnan(other["value"]))
    return np.asarray(value & (one["exposure"] == other["exposure"]))


def _nothing(windows: int, series: int) -> Records:
    state: Records = np.zeros((windows, series), JUDGED)
    for name in ("value", "expected", "low", "high", "evidence"):
        state[name] = np.nan
    state["exposure"] = -1.0
    return state
