"""The band that people see: STL on hourly means of a week's season, refit once a day of event time.

Seasonal-trend decomposition by LOESS (Cleveland et al., Journal of Official Statistics, 1990; the
implementation of statsmodels), robust, on at most four weeks.  A refit costs some milliseconds a
series, a thousand times a step of the profile, so it serves the eye, not the alarm.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from detectors.series.method import Floats, Record, Records
from detectors.series.snapshot import dump_records, restored_records

HOUR_MS = 3_600_000
DAY_HOURS = 24
WEEK_HOURS = 7 * DAY_HOURS
KEPT_HOURS = 4 * WEEK_HOURS
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

    Silent (nan) until two whole weeks have been seen: a season of a day alone takes every Sunday for a change
    of level.  Every fit uses closed hours only, and holds for the next 24 hours.  Refits are spread over the
    hours of the day by the series' number.  Hours of which nothing is known (holidays, the hour that clocks
    leave out, a long pause) are filled in by those a week before, so that the season keeps its place.
    """

    def __init__(self) -> None:
        self._state: Records = np.zeros(0, STATE)

    def step(self, local_ms: int, values: Floats) -> Floats:
        """Return what was expected of this window, shape (series,), then learn it; nan values are none."""
        self._grow(len(values))
        hour, known = local_ms // HOUR_MS, np.isfinite(values)
        ended = known & (self._state["hour"] != hour) & (self._state["windows"] > 0)
        for number in np.flatnonzero(ended).tolist():
            self._close_hour(number, hour)
        self._state["hour"][known] = hour
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

    def _close_hour(self, number: int, hour: int) -> None:
        """Keep the mean per window of what was seen before this hour; refit when it is the series' turn."""
        s = self._state[number]
        before, missing = int(s["hours"]), max(0, int(hour - s["hour"]) - 1)
        if missing >= KEPT_HOURS:
            self._state[number] = np.zeros(1, STATE)[0]
            return
        _keep(s, s["running"] / s["windows"])
        for _ in range(missing):
            _keep(s, s["history"][(s["hours"] - min(WEEK_HOURS, s["hours"])) % KEPT_HOURS])
        s["running"], s["windows"] = 0.0, 0
        is_due = (s["hours"] + number) // DAY_HOURS > (before + number) // DAY_HOURS
        if s["hours"] >= SEASONS * WEEK_HOURS and is_due:
            past = np.roll(s["history"], -(s["hours"] % KEPT_HOURS))[-min(s["hours"], KEPT_HOURS) :]
            s["forecast"] = next_season(past, WEEK_HOURS)[:DAY_HOURS]
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


def _keep(s: Record, mean: float) -> None:
    s["history"][s["hours"] % KEPT_HOURS] = mean
    s["hours"] += 1


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

    jump = max(1, period // 7)
    fit = STL(past, period=period, robust=True, seasonal_deg=0, trend_jump=jump, low_pass_jump=jump).fit()
    return np.asarray(fit.trend[-1] + fit.seasonal[-period:])
