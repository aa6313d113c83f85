"""Rarity: how seldom this series has shown a statistic this large, in powers of ten.

Statistics of different methods and series become comparable: an evidence of 3 means that about one
row in a thousand of this series' own remembered past was as far out.  What has never been seen is at
most as rare as the memory is long, so one absurd value cannot outbid agreement among methods.
"""

import math

import numpy as np

from detectors.series.method import Floats, Record, Records
from detectors.series.serieskernel import kernel

SCALE_MEMORY = 4000
TAIL_MEMORY = 8000
WARM_UP = 31
CLIP = 8.0
BUCKETS = 200
PER_OCTAVE = 8.0
LOWEST = -10.0

STATE = np.dtype(
    [
        ("seen", np.int64),
        ("centre", np.float64),
        ("scale", np.float64),
        ("weight", np.float64),
        ("total", np.float64),
        ("histogram", np.float64, (BUCKETS,)),
    ],
    align=True,
)


class Calibration:
    """Statistic -> evidence, -log10 of the share of this series' past that was at least as extreme.

    The statistic is centred and scaled by running means over about 4000 rows (deviations clipped at
    eight scales, so that an event does not hide the next one), then ranked in a histogram with eight
    buckets an octave that forgets over about 8000 rows.  The first 31 values give no evidence.
    """

    def __init__(self) -> None:
        self.state: Records = np.zeros(1, STATE)
        self.state["weight"] = 1.0

    def step(self, statistic: Floats) -> Floats:
        """Return the evidence of each row, shape (n,), zero where the statistic is nan."""
        out = np.zeros(len(statistic))
        _advance(self.state, statistic, out)
        return out


@kernel
def _advance(state: Records, statistic: Floats, out: Floats) -> None:
    s: Record = state[0]
    for i in range(len(statistic)):
        if np.isnan(statistic[i]):
            continue
        bucket = _bucket(_deviation(s, statistic[i]))
        s.seen += 1
        if s.seen > WARM_UP:
            out[i] = _rarity(s, bucket)
        _remember(s, bucket)


@kernel
def _deviation(s: Record, value: float) -> float:
    """Return |value - centre| in scales, and learn from it."""
    if s.seen < 10:
        s.scale = (s.scale * s.seen + abs(value)) / (s.seen + 1)
        s.centre = (s.centre * s.seen + value) / (s.seen + 1)
        return 0.0
    away = value - s.centre
    limit = CLIP * s.scale if s.scale > 0 else abs(away)
    deviation = _ratio(abs(away), s.scale)
    rate = max(1.0 / (s.seen + 1), 1.0 / SCALE_MEMORY)
    s.scale += rate * (min(abs(away), limit) - s.scale)
    s.centre += rate * max(min(away, limit), -limit)
    return deviation


@kernel
def _ratio(away: float, scale: float) -> float:
    """Away in scales; after a constant past any move is as far out as can be."""
    if away == 0.0:
        return 0.0
    return min(away / scale, 1e6) if scale > 0 else 1e6


@kernel
def _bucket(deviation: float) -> int:
    place = int((math.log2(max(deviation, 1e-3)) - LOWEST) * PER_OCTAVE)
    return min(max(place, 0), BUCKETS - 1)


@kernel
def _rarity(s: Record, bucket: int) -> float:
    beyond = 0.5 * s.histogram[bucket]
    for higher in range(bucket + 1, BUCKETS):
        beyond += s.histogram[higher]
    return -math.log10((beyond + 0.3 * s.weight) / (s.total + s.weight))


@kernel
def _remember(s: Record, bucket: int) -> None:
    """Newer rows weigh more: instead of shrinking the past, the weight of a row grows."""
    s.histogram[bucket] += s.weight
    s.total += s.weight
    s.weight *= 1.0 / (1.0 - 1.0 / TAIL_MEMORY)
    if s.weight > 1e100:
        for i in range(BUCKETS):
            s.histogram[i] /= s.weight
        s.total /= s.weight
        s.weight = 1.0
