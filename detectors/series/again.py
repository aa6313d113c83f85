"""Windows judged again: what was seen in them has changed, what was expected of them has not.

The profile's rings hold what was seen and expected in the last rows of each series.  A correction changes
what was seen and every sum that holds it, and from the corrected row on each row is scored as it would
have been, had it been seen so at once.  The baseline keeps what it has learnt meanwhile.
"""

import math
from typing import Any

from detectors.series.baseline import expected
from detectors.series.method import Record, Records, Times
from detectors.series.profile import RING, doubt_of, scale_of, weigh
from detectors.series.serieskernel import kernel


@kernel
def amend_series(
    state: Records, ages: Times, clocks: Times, days: Times, before: Records, after: Records, out: Records
) -> None:
    """Correct rows of many series, then score every row since the oldest correction again.

    Args:
        state: the profiles, shape (series,).
        ages: how many rows ago each corrected row was, shape (rows,); 0 is the newest.
        clocks: the local clock at its start in milliseconds, shape (rows,).
        days: which day each row counts as (`baseline.day_of`), shape (oldest age + 1, series).
        before: what was seen (fields value, exposure, largest; value nan: nothing), shape (rows, series).
        after: the same as it is now; what is equal to `before` is not touched.
        out: RESULT by age, shape (oldest age + 1, series); evidence of nan where nothing is judged again.
    """
    for i in range(len(state)):
        oldest = -1
        for row in range(len(ages)):
            if ages[row] < state[i].filled and _differs(before[row, i], after[row, i]):
                day = days[ages[row], i]
                _correct(state[i], ages[row], clocks[row], day, before[row, i], after[row, i])
                oldest = max(oldest, ages[row])
        for age in range(oldest + 1):
            judge(state[i], age, days[age, i], out[age, i])


@kernel
def judge(s: Record, age: int, day: int, out: Any) -> None:
    """Score the row of so long ago, on such a day, into `out` (a RESULT)."""
    out.evidence = 0.0
    doubt = doubt_of(s, day)
    reach = 0
    seen = 0.0
    due = 0.0
    variance = 0.0
    square = 0.0
    for k in range(s.windows):
        if s.filled - age < s.lengths[k]:
            break
        while reach < s.lengths[k]:
            at = (s.filled - 1 - age - reach) % RING
            seen += s.ring_seen[at]
            due += s.ring_expected[at]
            variance += s.ring_variance[at]
            square += s.ring_square[at]
            reach += 1
        if due > 0.0:
            weigh(s.lengths[k], seen, due, max(variance, square), scale_of(s, k), doubt, out)


@kernel
def stretch(s: Record, age: int, rows: int, out: Any) -> None:
    """Sum just these rows, the last of them so long ago, into `out` (a RESULT without evidence)."""
    out.rows = rows
    variance = 0.0
    square = 0.0
    for reach in range(rows):
        at = (s.filled - 1 - age - reach) % RING
        out.seen += s.ring_seen[at]
        out.due += s.ring_expected[at]
        variance += s.ring_variance[at]
        square += s.ring_square[at]
    for k in range(s.windows):
        if s.lengths[k] == rows:
            out.spread = scale_of(s, k) * math.sqrt(max(variance, square))


@kernel
def _differs(before: Any, after: Any) -> bool:
    same = before.value == after.value and before.exposure == after.exposure
    return not same and after.exposure > 0


@kernel
def _correct(s: Record, age: int, clock: int, day: int, before: Any, after: Any) -> None:
    at = (s.filled - 1 - age) % RING
    mean = s.ring_expected[at]
    variance = s.ring_variance[at]
    if before.exposure != after.exposure:
        if before.exposure > 0:
            mean *= after.exposure / before.exposure
        else:
            mean = expected(s, clock, day, after.exposure)
        variance = s.unit * mean + s.phi * mean * mean
    square = after.largest * after.largest
    for k in range(s.windows):
        if age < s.lengths[k]:
            s.sum_seen[k] += after.value - s.ring_seen[at]
            s.sum_expected[k] += mean - s.ring_expected[at]
            s.sum_variance[k] += variance - s.ring_variance[at]
            s.sum_square[k] += square - s.ring_square[at]
    s.ring_seen[at] = after.value
    s.ring_expected[at] = mean
    s.ring_variance[at] = variance
    s.ring_square[at] = square
