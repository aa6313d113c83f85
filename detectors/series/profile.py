"""The running seasonal profile: sums over 1 to 180 minutes against what hour and weekday lead to expect.

For every window length the seen sum X and the expected sum M give the signed root of the deviance of
a Poisson count, over the variance per unit of the series (counts: 1 + phi * expected, over-dispersed):

    z = sign(X - M) * sqrt(2 / d * (X * ln(X / M) - X + M)),   d = variance / M

which is near normal for three events a minute as for three hundred, on the low side too.  Each z is
divided by its own running median, so that slow wander of the level, which grows with the window, is
allowed for: a median stays where it is when events come every day, a variance does not.  Where a value
is a sum of unequal parts, the variance is at least the square of the largest part that was seen, so
that one large payment does not pass for many.  The evidence of a row is the largest over the windows of

    (z^2 / 2 + ln(rows of the window)) / ln 10,     the second term at most as large as the first
"""

import math
from typing import Any

import numpy as np

from detectors.series.baseline import (
    DAY_MS,
    FIELDS,
    HOLIDAY,
    SEASON_BINS,
    collect,
    day_of,
    expected,
    learn,
    new_day,
)
from detectors.series.method import Floats, Record, Records, Times
from detectors.series.serieskernel import kernel

WINDOW_MINUTES = (1, 2, 3, 5, 8, 12, 15, 20, 30, 45, 60, 90, 120, 180)
WINDOWS = len(WINDOW_MINUTES)
LONGEST = 240
RING = 384
"""Rows remembered: the longest window, and as many as are judged again when late data comes (`again`)."""
MEDIAN_MEMORY = 5000.0
MEDIAN_FLOOR = 1.1
NORMAL_MEDIAN = 0.6745
SUSPECT = 3.9
SUSPECT_WEIGHT = 0.1
TRUSTING_DAYS = 7.0
NEUTRAL_DAYS = 3.0
FIRST_DOUBT = 0.25

STATE = np.dtype(
    [
        *FIELDS,
        ("windows", np.int64),
        ("lengths", np.int64, (WINDOWS,)),
        ("previous", np.float64),
        ("moves", np.float64),
        ("counts_only", np.int64),
        ("fractional", np.int64),
        ("negative", np.int64),
        ("phi", np.float64),
        ("suspect", np.int64),
        ("filled", np.int64),
        ("ring_seen", np.float64, (RING,)),
        ("ring_expected", np.float64, (RING,)),
        ("ring_variance", np.float64, (RING,)),
        ("ring_square", np.float64, (RING,)),
        ("sum_seen", np.float64, (WINDOWS,)),
        ("sum_expected", np.float64, (WINDOWS,)),
        ("sum_variance", np.float64, (WINDOWS,)),
        ("sum_square", np.float64, (WINDOWS,)),
        ("median", np.float64, (WINDOWS,)),
    ],
    align=True,
)

RESULT = np.dtype(
    [
        ("evidence", np.float64),
        ("expected", np.float64),
        ("low", np.float64),
        ("high", np.float64),
        ("rows", np.int64),
        ("seen", np.float64),
        ("due", np.float64),
        ("spread", np.float64),
    ],
    align=True,
)
"""Of one row: its evidence (nan during the first day), its band, and of the window that speaks loudest
its length in rows, what was seen and due in it, and the standard deviation of that."""


def new_state(interval_seconds: float, count: int = 1) -> Records:
    """Return the state of `count` fresh series with a row every `interval_seconds`."""
    state: Records = np.zeros(count, STATE)
    lengths = window_rows(interval_seconds)
    state["rows_per_day"] = 86_400.0 / interval_seconds
    state["bins"] = max(1, min(SEASON_BINS, int(86_400 // interval_seconds)))
    state["smooth"] = np.rint(3 * state["bins"] / SEASON_BINS)
    state["windows"] = len(lengths)
    state["lengths"][:, : len(lengths)] = lengths
    state["unit"] = 1.0
    state["phi"] = 0.05
    state["median"] = NORMAL_MEDIAN
    return state


def window_rows(interval_seconds: float) -> list[int]:
    """Return the window lengths in rows, growing, without repetition."""
    rows = (round(minutes * 60 / interval_seconds) for minutes in WINDOW_MINUTES)
    return sorted({min(max(count, 1), LONGEST) for count in rows})


class Profile:
    """The profile of one series, as a method: it calibrates itself.

    Sees spikes, surges, drops, dropouts, ramps and shifts against the season.  Blind during the first
    day, to shifts that last longer than its memory (days), to series with negative values, and, as
    `counts_only`, to values that are no counts (their tails are unknown, so nothing may be extrapolated).

    Args:
        interval_seconds: time between rows.
        counts_only: stay silent on values that are not whole numbers.
    """

    name = "profile"

    def __init__(self, interval_seconds: float, *, counts_only: bool = True) -> None:
        self.state = new_state(interval_seconds)
        self.state["counts_only"] = counts_only

    def step(self, times_ms: Times, values: Floats) -> Floats:
        """Return the evidence of each row, shape (n,), nan where there is none."""
        return np.asarray(self.results(times_ms, values)["evidence"])

    def results(self, times_ms: Times, values: Floats) -> Records:
        """Return one RESULT a row, shape (n,); bands of nan where there is no baseline."""
        out = np.zeros(len(values), RESULT)
        _advance_rows(self.state, times_ms, values, out)
        return out


@kernel
def _advance_rows(state: Records, local_ms: Times, values: Floats, out: Records) -> None:
    """One series, many rows."""
    for i in range(len(values)):
        advance(state[0], local_ms[i], day_of(local_ms[i]), values[i], 1.0, 0.0, out[i])


@kernel
def advance_series(
    state: Records,
    local_ms: int,
    days: Times,
    values: Floats,
    exposures: Floats,
    largest: Floats,
    out: Records,
) -> None:
    """Many series, one row each; nan is an empty row: nothing to judge, nothing to learn, no gap."""
    for i in range(len(values)):
        if np.isnan(values[i]):
            _be_silent(out[i])
            _pass_by(state[i], local_ms)
        else:
            advance(state[i], local_ms, days[i], values[i], exposures[i], largest[i], out[i])


@kernel
def advance(
    s: Record, local_ms: int, day: int, value: float, exposure: float, largest: float, out: Any
) -> None:
    """Score one row of one series into `out` (a RESULT), then learn from it.

    `day` is as `baseline.day_of` has it; on a holiday what is expected is doubted, and little is learnt.
    `largest` is the largest part of a value that is a sum of unequal parts (payments), else 0.
    """
    _be_silent(out)
    _note(s, local_ms, value, largest)
    if s.negative or (s.counts_only and s.fractional):
        return
    if s.awake:
        new_day(s, local_ms)
        mean = expected(s, local_ms, day, exposure)
        variance = s.unit * mean + s.phi * mean * mean
        _add(s, value, mean, variance, largest * largest)
        _scan(s, day, out)
        _band(s, mean, variance, out)
        weight = SUSPECT_WEIGHT if is_holiday(day) else _weight(s, out.evidence)
        _learn(s, local_ms, day, value, exposure, mean, variance, weight)
    else:
        collect(s, local_ms, value, exposure)
        _first_unit(s)
    s.rows += 1


@kernel
def _be_silent(out: Any) -> None:
    out.evidence = np.nan
    out.expected = np.nan
    out.low = np.nan
    out.high = np.nan


@kernel
def _pass_by(s: Record, local_ms: int) -> None:
    """Let the windows move on over an empty row."""
    s.last_ms = local_ms
    if s.awake:
        _add(s, 0.0, 0.0, 0.0, 0.0)


@kernel
def _note(s: Record, local_ms: int, value: float, largest: float) -> None:
    """Keep what kind of numbers these are, and start sums afresh after a gap or a step back in time."""
    if value < 0:
        s.negative = 1
    if (largest > 0 or value != math.floor(value)) and not s.fractional:
        s.fractional = 1
        s.phi = 0.0
    if s.rows > 0:
        step = (local_ms - s.last_ms) * s.rows_per_day / DAY_MS
        if step > 1.5 or step < 0:
            _forget_sums(s)
        s.moves += (value - s.previous) ** 2
    s.previous = value
    s.last_ms = local_ms


@kernel
def _forget_sums(s: Record) -> None:
    s.filled = 0
    s.sum_seen[:] = 0.0
    s.sum_expected[:] = 0.0
    s.sum_variance[:] = 0.0
    s.sum_square[:] = 0.0


@kernel
def _first_unit(s: Record) -> None:
    """On waking, take the variance per unit of values that are no counts from their moves."""
    if s.awake and s.fractional and s.level_seen > 0 and s.rows > 1:
        s.unit = max(s.moves / (2.0 * s.rows) / s.level_seen, 1e-12 * s.level_seen)


@kernel
def _add(s: Record, value: float, mean: float, variance: float, square: float) -> None:
    for k in range(s.windows):
        length = s.lengths[k]
        if s.filled >= length:
            old = (s.filled - length) % RING
            s.sum_seen[k] -= s.ring_seen[old]
            s.sum_expected[k] -= s.ring_expected[old]
            s.sum_variance[k] -= s.ring_variance[old]
            s.sum_square[k] -= s.ring_square[old]
        s.sum_seen[k] += value
        s.sum_expected[k] += mean
        s.sum_variance[k] += variance
        s.sum_square[k] += square
    place = s.filled % RING
    s.ring_seen[place] = value
    s.ring_expected[place] = mean
    s.ring_variance[place] = variance
    s.ring_square[place] = square
    s.filled += 1


@kernel
def _scan(s: Record, day: int, out: Any) -> None:
    """Find the window that speaks loudest; one that is not full yet stays silent."""
    out.evidence = 0.0
    doubt = doubt_of(s, day)
    for k in range(s.windows):
        if s.filled < s.lengths[k]:
            break
        if s.sum_expected[k] <= 0.0:
            continue
        scale = scale_of(s, k)
        variance = max(s.sum_variance[k], s.sum_square[k])
        if not is_holiday(day):
            _learn_median(s, k, abs(_signed_root(s.sum_seen[k], s.sum_expected[k], variance)))
        weigh(s.lengths[k], s.sum_seen[k], s.sum_expected[k], variance, scale, doubt, out)


@kernel
def weigh(rows: int, seen: float, due: float, variance: float, scale: float, doubt: float, out: Any) -> None:
    """Let a window of so many rows speak: what it says is kept if it is louder than what was said before."""
    variance += (doubt * due) ** 2
    z = _signed_root(seen, due, variance)
    half_square = 0.5 * (z / scale) ** 2
    evidence = (half_square + min(math.log(rows), half_square)) / math.log(10.0)
    if evidence > out.evidence:
        out.evidence = evidence
        out.rows = rows
        out.seen = seen
        out.due = due
        out.spread = scale * math.sqrt(variance)


@kernel
def scale_of(s: Record, k: int) -> float:
    """Return by how much the z of the k-th window length usually is larger than chance makes it."""
    return float(max(s.median[k] / NORMAL_MEDIAN, MEDIAN_FLOOR))


@kernel
def is_holiday(day: int) -> bool:
    """Tell whether a day, as `baseline.day_of` has it, is a holiday."""
    return bool(day >= HOLIDAY)


@kernel
def doubt_of(s: Record, day: int) -> float:
    """Share by which a baseline may be wrong: on holidays, and until every weekday was seen (two weeks)."""
    if is_holiday(day):
        return FIRST_DOUBT
    days = s.rows / s.rows_per_day
    return float(FIRST_DOUBT * min(max(2.0 - days / TRUSTING_DAYS, 0.0), 1.0))


@kernel
def _signed_root(seen: float, due: float, variance: float) -> float:
    per_unit = max(variance / due, 1e-300)
    log_part = seen * math.log(seen / due) if seen > 1e-9 * due else 0.0
    root = math.sqrt(max(2.0 * (log_part - seen + due) / per_unit, 0.0))
    return root if seen > due else -root


@kernel
def _learn_median(s: Record, k: int, size: float) -> None:
    """A step up when above and down when below: the running median, robust against any event."""
    step = max(2.0 / max(s.rows + 20.0 - s.rows_per_day, 20.0), 1.0 / MEDIAN_MEMORY)
    s.median[k] *= math.exp(step if size > s.median[k] else -step)


@kernel
def _band(s: Record, mean: float, variance: float, out: Any) -> None:
    """Three standard deviations on the square-root scale, where counts are symmetric."""
    scale = scale_of(s, 0)
    unit = max(variance / mean, 1e-300) * scale * scale
    root = math.sqrt(mean / unit)
    out.expected = mean
    out.low = unit * max(root - 1.5, 0.0) ** 2
    out.high = unit * (root + 1.5) ** 2


@kernel
def _weight(s: Record, evidence: float) -> float:
    """How much to learn from a row: little while something is going on, for at most a day."""
    if s.rows < TRUSTING_DAYS * s.rows_per_day:
        return 1.0
    if evidence < SUSPECT:
        s.suspect = max(s.suspect - 5, 0)
        return 1.0
    s.suspect += 1
    return SUSPECT_WEIGHT if s.suspect < s.rows_per_day else 1.0


@kernel
def _learn(
    s: Record,
    local_ms: int,
    day: int,
    value: float,
    exposure: float,
    mean: float,
    variance: float,
    weight: float,
) -> None:
    deviation = math.sqrt(variance)
    clipped = min(max(value, mean - 4.0 * deviation), mean + 4.0 * deviation)
    early = s.rows < 2.0 * s.rows_per_day
    learn(s, local_ms, day, value if early else clipped, exposure, weight)
    if s.rows > NEUTRAL_DAYS * s.rows_per_day:
        limit = 400.0 if s.fractional else 9.0
        _learn_dispersion(s, mean, min((value - mean) ** 2, limit * variance), weight)


@kernel
def _learn_dispersion(s: Record, mean: float, square: float, weight: float) -> None:
    """Counts: how much they vary beyond Poisson.  Other values: variance per unit of the mean."""
    if s.fractional:
        s.unit += 0.0005 * weight * (square / mean - s.unit)
        return
    beyond = min(max((square - mean) / (mean * mean), -5.0), 5.0)
    s.phi += 0.0005 * weight * mean / (mean + 20.0) * (beyond - s.phi)
    s.phi = min(max(s.phi, 0.0), 1.0)
