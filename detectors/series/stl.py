"""The band that people see: STL on hourly sums, refit once a day of event time.

Seasonal-trend decomposition by LOESS (Cleveland et al., Journal of Official Statistics, 1990; the
implementation of statsmodels), robust, on at most four weeks.  A refit costs some milliseconds a
series, a thousand times a step of the profile, so it serves the eye, not the alarm.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from detectors.series.method import Floats, Records
from detectors.series.snapshot import dump_records, restored_records

HOUR_MS = 3_600_000
DAY_HOURS = 24
KEPT_HOURS = 28 * DAY_HOURS
SEASONS = 2

STATE = np.dtype(
    [
        ("hour", np.int64),
        ("hours", np.int64),
        ("running", np.float64),
        ("windows", np.int64),
        ("fitted", np.int64),
        ("history", np.float64, (KEPT_HOURS,)),
        ("forecast", np.float64, (DAY_HOURS,)),
    ],
    align=True,
)


class StlBands:
    """What each series is expected to be in a window, from STL on its own past, refit once a day.

    Silent (nan) until two whole seasons of a day have been seen.  Every fit uses closed hours only, and
    holds for the next 24 hours.  Refits are spread over the hours of the day by the series' number.
    """

    def __init__(self) -> None:
        self._state: Records = np.zeros(0, STATE)

    def step(self, local_ms: int, values: Floats) -> Floats:
        """Return what was expected of this window, shape (series,), then learn it; nan values are none."""
        self._grow(len(values))
        hour = local_ms // HOUR_MS
        for number in np.flatnonzero((self._state["hour"] != hour) & (self._state["windows"] > 0)):
            self._close_hour(int(number))
        self._state["hour"] = hour
        known = np.isfinite(values)
        self._state["running"] += np.where(known, values, 0.0)
        self._state["windows"] += known
        return self._expected(local_ms)

    def dump(self) -> dict[str, Any]:
        """Return all state."""
        return dump_records("stl", self._state)

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over a dump."""
        self._state = restored_records("stl", np.zeros(0, STATE), kept)

    def _grow(self, count: int) -> None:
        missing = count - len(self._state)
        if missing > 0:
            self._state = np.concatenate([self._state, np.zeros(missing, STATE)])

    def _close_hour(self, number: int) -> None:
        """Keep the hour's mean per window and, when it is this series' turn, refit."""
        s = self._state[number]
        s["history"][s["hours"] % KEPT_HOURS] = s["running"] / s["windows"]
        s["hours"] += 1
        s["running"], s["windows"] = 0.0, 0
        if s["hours"] >= SEASONS * DAY_HOURS and (s["hours"] + number) % DAY_HOURS == 0:
            past = np.roll(s["history"], -(s["hours"] % KEPT_HOURS))[-min(s["hours"], KEPT_HOURS) :]
            s["forecast"] = next_season(past, DAY_HOURS)
            s["fitted"] = s["hours"]

    def _expected(self, local_ms: int) -> Floats:
        """Return the forecast, straight lines between the middles of the hours, shape (series,)."""
        state = self._state
        into = local_ms % HOUR_MS / HOUR_MS - 0.5
        ahead = state["hours"] - state["fitted"]
        rows = np.arange(len(state))
        here = state["forecast"][rows, ahead % DAY_HOURS]
        other = state["forecast"][rows, (ahead + (1 if into > 0 else -1)) % DAY_HOURS]
        value = here + abs(into) * (other - here)
        return np.where((state["fitted"] > 0) & (ahead <= 2 * DAY_HOURS), np.maximum(value, 0.0), np.nan)


def next_season(past: Floats, period: int) -> Floats:
    """Forecast the season after `past`: the last trend and the last seasonal figure of each place.

    Args:
        past: at least two seasons, oldest first, shape (n,).
        period: rows of a season.

    Returns:
        Shape (period,).
    """
    # A second or two to import: not for every command, but once, when warming up or at the first refit.
    from statsmodels.tsa.seasonal import STL  # noqa: PLC0415 - see above

    fit = STL(past, period=period, robust=True, trend_jump=6, low_pass_jump=6).fit()
    return np.asarray(fit.trend[-1] + fit.seasonal[-period:])
