"""Evidence of all detectors on one scale, learnt from the stream itself.

Two corrections, both per detector and both from the past only:

1. No more than rarity allows.  For right log odds the tail probability of the evidence e under normal
   behaviour is at most exp(-e).  A tail that falls exponentially through the 97 % and 99.5 % quantiles
   of the evidence says how rare each value is; evidence above that (less the prior) is cut to it.
2. No more than the detector has found.  Where rare values come no oftener than rarity explains, there
   is nothing to find for this detector in this stream, and its evidence is lowered (empirical Bayes,
   Efron 2010, local false discovery rate).  What another detector explains better does not count.
"""

from math import exp, log
from typing import Final

from detectors.kernels.compiled import kernel
from detectors.kernels.histogram import bin_of, quantile, refresh_due
from detectors.kernels.tail import LIMIT, SILENT
from detectors.types import Flags, Floats

SEEN: Final = 0
CENTRE: Final = 1
SLOPE: Final = 2
FOUND: Final = 3
CHANCE: Final = 4
SHIFT: Final = 5
OTHERS: Final = 6
STATE_WIDTH: Final = 7

PRIOR: Final = 0
RARE: Final = 1
GAIN: Final = 2
LOWEST: Final = 3
HIGHEST: Final = 4
PRIOR_COUNT: Final = 5
WARM_UP: Final = 6
RARE_CHANCE: Final = 7
EXPECTED_MORE: Final = 8
SETTINGS_WIDTH: Final = 9

_LOW: Final = -20.0
_WIDTH: Final = 0.0625
_T970: Final = 3.506557897319982
_T995: Final = 5.298317366548036
_FADE: Final = 1.0 - 1e-5
_SLOW_FADE: Final = 1.0 - 3e-6
_COUNTED: Final = -1.0
"""Log odds from which on a find of a detector with a stand-in is counted."""


@kernel
def calibrate(
    evidence: Floats,
    by_chance: Floats,
    is_bounded: Flags,
    counts: Floats,
    states: Floats,
    settings: Floats,
    out: Floats,
) -> None:
    """Bring each column of evidence to the common scale, row by row.

    Args:
        evidence: shape (n, detectors); log odds, SILENT or below where a detector says nothing.
        by_chance: shape (n, detectors); the same of a stand-in, SILENT or below where there is none.
        is_bounded: shape (detectors,); evidence that its own tail already bounds, taken as it is but
            for what its stand-in finds as well.
        counts: shape (detectors, BINS); histograms of the evidence, updated.
        states: shape (detectors, STATE_WIDTH); updated.
        settings: shape (SETTINGS_WIDTH,).
        out: shape (n, detectors); calibrated log odds.
    """
    for i in range(evidence.shape[0]):
        largest = 0
        for k in range(evidence.shape[1]):
            e = evidence[i, k]
            if is_bounded[k]:
                out[i, k] = e + states[k, SHIFT] if e > SILENT else e
            else:
                out[i, k] = _scaled(e, states[k], settings) if e > SILENT else e
            if out[i, k] > out[i, largest]:
                largest = k
        for k in range(evidence.shape[1]):
            if not is_bounded[k] and evidence[i, k] > SILENT:
                _learn(evidence[i, k], out[i, k] > out[i, largest] - 1.0, counts[k], states[k], settings)
            elif by_chance[i, k] > SILENT:
                _compare(evidence[i, k], by_chance[i, k], _others(out[i], k), states[k], settings)


@kernel
def _rarity(e: float, state: Floats, settings: Floats) -> float:
    """Return minus the log of how rarely normal behaviour gives this much evidence."""
    return float(min(_T995 + (e - state[CENTRE]) * state[SLOPE], e + settings[PRIOR]))


@kernel
def _scaled(e: float, state: Floats, settings: Floats) -> float:
    if state[SEEN] < settings[WARM_UP]:
        return min(e, -1.0)
    value = _rarity(e, state, settings) - settings[PRIOR] + state[SHIFT]
    return float(min(max(value, SILENT), LIMIT))


@kernel
def _learn(e: float, explains: int, counts: Floats, state: Floats, settings: Floats) -> None:
    """Learn one row; a rare one is this detector's find only where no other explains the row better."""
    weight = 1.0
    if state[SEEN] >= settings[WARM_UP]:
        rarity = _rarity(e, state, settings)
        if rarity > settings[PRIOR] - 6.0:
            weight = 1.0 / (1.0 + exp(min(rarity - settings[PRIOR], LIMIT)))
        state[FOUND] = state[FOUND] * _FADE + (1.0 if explains and rarity > settings[RARE] else 0.0)
        state[CHANCE] = state[CHANCE] * _FADE + settings[RARE_CHANCE]
    counts[bin_of(e, _LOW, _WIDTH)] += weight
    state[SEEN] += 1.0
    if refresh_due(state[SEEN], settings[WARM_UP], 2048.0):
        _refit(counts, state, settings)
    if state[SEEN] % 32768.0 == 0.0:
        counts *= 0.9


@kernel
def _others(row: Floats, k: int) -> float:
    """Return the largest evidence of the other detectors."""
    largest = SILENT
    for j in range(row.size):
        if j != k:
            largest = max(largest, row[j])
    return float(largest)


@kernel
def _compare(e: float, by_chance: float, others: float, state: Floats, settings: Floats) -> None:
    """Count what the detector finds beside what its stand-in finds, on the row before this one."""
    state[FOUND] = state[FOUND] * _SLOW_FADE + (1.0 if e > _COUNTED and e > others - 1.0 else 0.0)
    chance = by_chance > _COUNTED and by_chance > state[OTHERS] - 1.0
    state[CHANCE] = state[CHANCE] * _SLOW_FADE + (1.0 if chance else 0.0)
    state[OTHERS] = others
    trusted = settings[PRIOR_COUNT] * exp(settings[EXPECTED_MORE])
    state[SHIFT] = _shift(state[FOUND] + trusted, state[CHANCE] + settings[PRIOR_COUNT], settings)


@kernel
def _shift(found: float, chance: float, settings: Floats) -> float:
    """Return the log odds by which evidence is moved."""
    gained = settings[GAIN] * (log(found / chance) - settings[EXPECTED_MORE])
    return float(min(max(gained, settings[LOWEST]), settings[HIGHEST]))


@kernel
def _refit(counts: Floats, state: Floats, settings: Floats) -> None:
    centre = quantile(counts, 0.995, _LOW, _WIDTH)
    state[CENTRE] = centre
    state[SLOPE] = (_T995 - _T970) / max(centre - quantile(counts, 0.970, _LOW, _WIDTH), _WIDTH)
    state[SHIFT] = _shift(
        state[FOUND] + settings[PRIOR_COUNT], state[CHANCE] + settings[PRIOR_COUNT], settings
    )
