"""What a counted series is expected to be: level x time of day x weekday x hour of the week.

    expected = exposure * level * season[time of day] * weekday[day] * hour[day, hour]

`exposure` is 1 for counts and sums; for a share it is the number that the share is of, and the value
is the number of hits.  Every factor is a ratio of two running sums (seen over expected from the other
factors), which is unmoved by how few events a minute has.  Once a day the factors are normalised to a
mean of one, the level taking up the rest.
"""

import numpy as np

from detectors.series.method import Record
from detectors.series.serieskernel import kernel

DAY_MS = 86_400_000
SEASON_BINS = 288
SEASON_DAYS = 12.0
LEVEL_DAYS = 2.0
WEEKDAY_DAYS = 3.0
WEEKDAY_PRIOR = 0.02
HOUR_WEEKS = 4.0
HOUR_PRIOR = 1.0
SEASON_PRIOR = 2.0
SEASON_ENOUGH = 150.0
SMALLEST = 0.02
HOLIDAY = 7
"""Added to the weekday that a holiday is like."""

FIELDS = [
    ("rows", np.int64),
    ("first_ms", np.int64),
    ("last_ms", np.int64),
    ("awake", np.int64),
    ("day", np.int64),
    ("rows_per_day", np.float64),
    ("bins", np.int64),
    ("smooth", np.int64),
    ("unit", np.float64),
    ("level_seen", np.float64),
    ("level_due", np.float64),
    ("season_seen", np.float64, (SEASON_BINS,)),
    ("season_due", np.float64, (SEASON_BINS,)),
    ("weekday_seen", np.float64, (7,)),
    ("weekday_due", np.float64, (7,)),
    ("hour_seen", np.float64, (168,)),
    ("hour_due", np.float64, (168,)),
]
"""What the baseline remembers; `*_seen` over `*_due` is a factor."""


@kernel
def collect(s: Record, local_ms: int, value: float, exposure: float) -> None:
    """Collect the first day that is not empty; afterwards the series is awake."""
    if s.rows == 0:
        s.first_ms = local_ms
    if local_ms - s.first_ms >= DAY_MS:
        s.first_ms = local_ms
        _wake(s)
        return
    place = _season_bin(s, local_ms)
    s.season_seen[place] += value
    s.season_due[place] += exposure


@kernel
def expected(s: Record, local_ms: int, day: int, exposure: float) -> float:
    """Return what this row is expected to be, in the unit of the values; `day` as `day_of` has it."""
    rate = _level(s) * _season(s, local_ms) * _weekday(s, day % 7)
    floor = SMALLEST * max(s.unit, 1e-12) * min(exposure, 1.0)
    return float(max(exposure * rate * _hour(s, _hour_of_week(local_ms, day)), floor))


@kernel
def learn(s: Record, local_ms: int, day: int, value: float, exposure: float, weight: float) -> None:
    """Move every factor a little towards this row; `weight` below one where the row is suspect."""
    level, season = _level(s), _season(s, local_ms)
    weekday_at, hour_at = day % 7, _hour_of_week(local_ms, day)
    weekday, hour = _weekday(s, weekday_at), _hour(s, hour_at)
    _learn_level(s, value, exposure * season * weekday * hour, weight)
    _learn_season(s, _season_bin(s, local_ms), value, exposure * level * weekday * hour, weight)
    scale = max(level, 1e-300)
    rate = weight / (WEEKDAY_DAYS * s.rows_per_day)
    s.weekday_seen[weekday_at] += rate * (value / scale - s.weekday_seen[weekday_at])
    s.weekday_due[weekday_at] += rate * (exposure * season * hour - s.weekday_due[weekday_at])
    rate = weight * 24.0 / (HOUR_WEEKS * s.rows_per_day)
    due = max(exposure * season * weekday, 1e-300)
    s.hour_seen[hour_at] += rate * (value / (scale * due) - s.hour_seen[hour_at])
    s.hour_due[hour_at] += rate * (1.0 - s.hour_due[hour_at])


@kernel
def new_day(s: Record, local_ms: int) -> None:
    """On the first row of a day, bring all factors back to a mean of one."""
    day = _day(local_ms)
    if day == s.day:
        return
    s.day = day
    _normalise_season(s)
    _normalise_weekdays(s)
    for weekday in range(7):
        _normalise_hours(s, weekday * 24)


@kernel
def day_of(local_ms: int) -> int:
    """Return the weekday, 0 a Monday; who knows of a holiday adds HOLIDAY to the weekday that it is like."""
    return _day(local_ms) % 7


@kernel
def _wake(s: Record) -> None:
    seen = s.season_seen.sum()
    due = s.season_due.sum()
    if seen <= 0:
        s.season_due[:] = 0.0
        return
    s.awake = 1
    s.level_seen = seen / due
    s.level_due = 1.0
    s.day = _day(s.last_ms)
    s.season_due[:] *= s.level_seen


@kernel
def _learn_level(s: Record, value: float, due: float, weight: float) -> None:
    rate = weight / (LEVEL_DAYS * s.rows_per_day)
    s.level_seen += rate * (value - s.level_seen)
    s.level_due += rate * (due - s.level_due)


@kernel
def _learn_season(s: Record, place: int, value: float, due: float, weight: float) -> None:
    fade = 1.0 - weight / (SEASON_DAYS * max(1.0, s.rows_per_day / SEASON_BINS))
    s.season_seen[place] = fade * s.season_seen[place] + weight * value
    s.season_due[place] = fade * s.season_due[place] + weight * due


@kernel
def _level(s: Record) -> float:
    return float(s.level_seen / s.level_due) if s.level_due > 0 else 0.0


@kernel
def _season(s: Record, local_ms: int) -> float:
    """Return the factor of the time of day, from as many neighbouring bins as it takes to know enough.

    So a busy series keeps the sharp edge of an opening hour, and a quiet one is smoothed over at most
    half an hour, with falling weights, and drawn to one where little is known.
    """
    place = _season_bin(s, local_ms)
    prior = SEASON_PRIOR * s.unit
    seen = 0.0
    due = 0.0
    for reach in range(s.smooth + 1):
        seen, due = _neighbourhood(s, place, reach)
        if due >= SEASON_ENOUGH * s.unit:
            break
    return float((seen + prior) / (due + prior))


@kernel
def _neighbourhood(s: Record, place: int, reach: int) -> tuple[float, float]:
    seen = 0.0
    due = 0.0
    for step in range(-reach, reach + 1):
        at = (place + step) % s.bins
        weight = 1.0 - abs(step) / (reach + 1.0)
        seen += weight * s.season_seen[at]
        due += weight * s.season_due[at]
    return seen, due


@kernel
def _weekday(s: Record, at: int) -> float:
    return float((s.weekday_seen[at] + WEEKDAY_PRIOR) / (s.weekday_due[at] + WEEKDAY_PRIOR))


@kernel
def _hour(s: Record, at: int) -> float:
    return float((s.hour_seen[at] + HOUR_PRIOR) / (s.hour_due[at] + HOUR_PRIOR))


@kernel
def _normalise_season(s: Record) -> None:
    total = 0.0
    count = 0
    for place in range(s.bins):
        if s.season_due[place] > 0:
            total += s.season_seen[place] / s.season_due[place]
            count += 1
    if total > 0:
        s.season_seen[:] *= count / total
        s.level_seen *= total / count


@kernel
def _normalise_weekdays(s: Record) -> None:
    total = 0.0
    for at in range(7):
        total += _weekday(s, at)
    mean = total / 7.0
    if mean > 0:
        for at in range(7):
            s.weekday_seen[at] = (s.weekday_seen[at] + WEEKDAY_PRIOR) / mean - WEEKDAY_PRIOR
        s.level_seen *= mean


@kernel
def _normalise_hours(s: Record, first: int) -> None:
    total = 0.0
    for at in range(first, first + 24):
        total += _hour(s, at)
    mean = total / 24.0
    if mean > 0:
        for at in range(first, first + 24):
            s.hour_seen[at] = (s.hour_seen[at] + HOUR_PRIOR) / mean - HOUR_PRIOR


@kernel
def _day(local_ms: int) -> int:
    """Days since a Monday (1970-01-01 was a Thursday)."""
    return local_ms // DAY_MS + 3


@kernel
def _hour_of_week(local_ms: int, day: int) -> int:
    return day % 7 * 24 + local_ms % DAY_MS // 3_600_000


@kernel
def _season_bin(s: Record, local_ms: int) -> int:
    return int(local_ms % DAY_MS * s.bins // DAY_MS)
