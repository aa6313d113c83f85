"""A threshold that keeps an alert budget a day, by the scores of the last seven days."""

from typing import Final

from detectors.kernels.compiled import kernel
from detectors.kernels.histogram import BINS, bin_of
from detectors.types import Floats, Times

DAYS: Final = 8
"""Seven whole days and the running one."""

START: Final = 0
DAY: Final = 1
HOUR: Final = 2
THRESHOLD: Final = 3
CLOCK_WIDTH: Final = 4

_LOW: Final = -20.0
_WIDTH: Final = 0.0625
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000


@kernel
def budget_thresholds(
    times: Times, log_odds: Floats, days: Floats, clock: Floats, budget: float, out: Floats
) -> None:
    """Return the threshold in force for each row, then count the row.

    Args:
        times: shape (n,).
        log_odds: shape (n,).
        days: shape (DAYS, BINS); histograms of the log odds by day, a ring; updated.
        clock: shape (CLOCK_WIDTH,); updated.
        budget: alerts a day.
        out: shape (n,); log odds from which on a row is an alert: even odds on the first day, then
            what the last seven days would have kept the budget with, looked at every hour.
    """
    for i in range(times.size):
        if clock[START] == 0.0:
            clock[START] = float(times[i])
        hour = times[i] // _HOUR_MS
        if hour > clock[HOUR]:
            _open(days, clock, times[i] // _DAY_MS)
            clock[HOUR] = hour
            covered = min((times[i] - clock[START]) / _DAY_MS, DAYS - 1.0 + (times[i] % _DAY_MS) / _DAY_MS)
            if covered >= 1.0:
                clock[THRESHOLD] = _exceeded_by(days, budget * covered)
        out[i] = clock[THRESHOLD]
        days[int(clock[DAY]) % DAYS, bin_of(log_odds[i], _LOW, _WIDTH)] += 1.0


@kernel
def _open(days: Floats, clock: Floats, day: int) -> None:
    for passed in range(max(int(clock[DAY]) + 1, day - DAYS + 1), day + 1):
        days[passed % DAYS] = 0.0
    clock[DAY] = max(clock[DAY], float(day))


@kernel
def _exceeded_by(days: Floats, wanted: float) -> float:
    """Return the log odds that `wanted` rows exceed."""
    above = 0.0
    for i in range(BINS - 1, -1, -1):
        here = days[:, i].sum()
        if above + here > wanted:
            return float(_LOW + _WIDTH * (i + 1 - (wanted - above) / here))
        above += here
    return _LOW
