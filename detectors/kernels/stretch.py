"""Likelihood ratios against a stretched density, carried on by a two-state filter per entity.

`ratio = value / expected`, expected being the entity's own mean shrunk to its segment's and the
population's.  The normal density of the ratio is a normal curve after a power transform (Box and Cox
1964) that makes its 5 % and 95 % quantiles symmetrical; the alternative is the same density stretched
by each of several factors, equally likely.  The likelihood ratio is bounded by the fitted tail, since
no likelihood ratio exceeds the inverse of the tail probability.

The filter: an entity is compromised with a small chance, forgets it over days, and while compromised
a share of its rows is bad.  The evidence is the log odds that this very row is bad.
"""

from math import exp, log
from typing import Final

import numpy as np

from detectors.kernels.compiled import kernel
from detectors.kernels.histogram import BINS, LOG_LOW, LOG_WIDTH, bin_of, log_quantile, refresh_due
from detectors.kernels.means import CLIP, MEAN_COUNT, MEAN_SUM, add_to_mean
from detectors.kernels.tail import LIMIT, Q99, SEEN, SILENT, fit_tail, surprise
from detectors.types import Floats, Rows32, Times

SUM: Final = 0
COUNT: Final = 1
COMPROMISED: Final = 2
LAST: Final = 3
ENTITY_WIDTH: Final = 4

LEVELS: Final = 3
"""Tables by history: an expectation from few rows spreads wider, and is judged by its like."""

ENTITY_LEVEL: Final = 0
SEGMENT_LEVEL: Final = 1
POPULATION_LEVEL: Final = 2

PRIOR: Final = 0
ONSET: Final = 1
MEMORY_DAYS: Final = 2
SHARE: Final = 3
ROW_LIMIT: Final = 4
WARM_UP: Final = 5
KEEP: Final = 6
STRETCHES: Final = 7

_DAY_MS: Final = 86_400_000.0
_SEGMENT_ENOUGH: Final = 30.0


@kernel
def stretch_evidence(
    times: Times,
    values: Floats,
    entity: Rows32,
    segment: Rows32,
    group: Rows32,
    learn: Floats,
    states: Floats,
    segments: Floats,
    groups: Floats,
    counts: Floats,
    fits: Floats,
    tables: Floats,
    settings: Floats,
    out: Floats,
    ratios: Floats,
    expected: Floats,
    size: Floats,
    level: Rows32,
) -> None:
    """Score values against the entity's own expectation, then learn them.

    Args:
        times: shape (n,).
        values: shape (n,), > 0; NaN stays silent and is not learnt.
        entity: shape (n,); whose expectation.
        segment: shape (n,); peers, or -1.
        group: shape (n,); populations that must not mix (currencies).
        learn: shape (n,); 1 to learn the row, 0 to score it only.
        states: shape (entities, ENTITY_WIDTH); updated, as all state below.
        segments: shape (segments, MEAN_WIDTH).
        groups: shape (groups, MEAN_WIDTH).
        counts: shape (groups * LEVELS, BINS); log histograms of the ratio.
        fits: shape (groups * LEVELS, FIT_WIDTH).
        tables: shape (groups * LEVELS, BINS); log likelihood ratio by bin of the ratio.
        settings: see the constants; the stretch factors from STRETCHES on.
        out: shape (n,); evidence in log odds.
        ratios: shape (n,); the row's own log likelihood ratio; NaN where the row stays silent.
        expected: shape (n,); what the value was compared with.
        size: shape (n,); rows behind the entity's own mean.
        level: shape (n,); whose baseline carried the expectation.
    """
    for i in range(values.size):
        out[i], ratios[i] = SILENT, np.nan
        if not values[i] > 0.0:
            continue
        state = states[entity[i]]
        peers, everyone = segments[max(segment[i], 0)], groups[group[i]]
        level[i] = _level(state, peers, segment[i], settings)
        expected[i] = _expectation(state, peers, everyone, segment[i], values[i], settings)
        size[i] = state[COUNT]
        cell = group[i] * LEVELS + _history(state[COUNT])
        x = log(values[i] / expected[i])
        ratio = min(_look_up(tables[cell], x), settings[ROW_LIMIT])
        bad = bad_row(state, times[i], ratio, settings)
        ready = fits[cell, SEEN] >= settings[WARM_UP]
        if ready:
            out[i], ratios[i] = bad, ratio
        if learn[i] > 0.0:
            weight = 1.0 / (1.0 + exp(bad)) if ready else 1.0
            _learn_means(state, peers, everyone, segment[i], values[i], expected[i], weight, settings[KEEP])
            _learn_ratio(x, weight, counts[cell], fits[cell], tables[cell], settings)


@kernel
def _history(count: float) -> int:
    if count < 3.0:
        return 2
    return 1 if count < 12.0 else 0


@kernel
def _level(state: Floats, peers: Floats, segment: int, settings: Floats) -> int:
    if state[COUNT] >= settings[PRIOR]:
        return ENTITY_LEVEL
    if segment >= 0 and peers[MEAN_COUNT] >= _SEGMENT_ENOUGH:
        return SEGMENT_LEVEL
    return POPULATION_LEVEL


@kernel
def _expectation(
    state: Floats, peers: Floats, everyone: Floats, segment: int, value: float, settings: Floats
) -> float:
    mean = everyone[MEAN_SUM] / everyone[MEAN_COUNT] if everyone[MEAN_COUNT] > 0.0 else value
    if segment >= 0:
        mean = (_SEGMENT_ENOUGH * mean + peers[MEAN_SUM]) / (_SEGMENT_ENOUGH + peers[MEAN_COUNT])
    return float((settings[PRIOR] * mean + state[SUM]) / (settings[PRIOR] + state[COUNT]))


@kernel
def _look_up(table: Floats, x: float) -> float:
    place = (x - LOG_LOW) / LOG_WIDTH - 0.5
    left = min(max(int(place), 0), BINS - 2)
    share = min(max(place - left, 0.0), 1.0)
    return float(table[left] * (1.0 - share) + table[left + 1] * share)


@kernel
def bad_row(state: Floats, time: int, ratio: float, settings: Floats) -> float:
    """Move the entity's state on and return the log odds that this row is bad."""
    onset = settings[ONSET]
    chance = onset
    if state[LAST] > 0.0:
        days = max(time - state[LAST], 0.0) / _DAY_MS
        chance = onset + (max(state[COMPROMISED], onset) - onset) * exp(-days / settings[MEMORY_DAYS])
    share = settings[SHARE]
    odds = chance / (1.0 - chance) * (1.0 - share + share * exp(min(ratio, 12.0)))
    state[COMPROMISED] = min(odds / (1.0 + odds), 0.999)
    state[LAST] = max(state[LAST], float(time))
    return log(chance * share / (1.0 - chance * share)) + ratio


@kernel
def _learn_means(
    state: Floats,
    peers: Floats,
    everyone: Floats,
    segment: int,
    value: float,
    expected: float,
    weight: float,
    keep: float,
) -> None:
    clipped = weight * min(value, CLIP * expected)
    add_to_mean(state, clipped, weight, keep)
    add_to_mean(everyone, clipped, weight, 100_000.0)
    if segment >= 0:
        add_to_mean(peers, clipped, weight, 10_000.0)


@kernel
def _learn_ratio(
    x: float, weight: float, counts: Floats, fit: Floats, table: Floats, settings: Floats
) -> None:
    counts[bin_of(x, LOG_LOW, LOG_WIDTH)] += weight
    fit[SEEN] += 1.0
    if refresh_due(fit[SEEN], settings[WARM_UP], 8192.0):
        fit_tail(counts, fit)
        _fill_table(counts, fit, settings[STRETCHES:], table)
    if fit[SEEN] % 32768.0 == 0.0:
        counts *= 0.9


@kernel
def _fill_table(counts: Floats, fit: Floats, stretches: Floats, table: Floats) -> None:
    """Tabulate the log likelihood ratio over the bins of the log ratio."""
    middle = log_quantile(counts, 0.5)
    power = _symmetric_power(
        log_quantile(counts, 0.05) - middle, max(log_quantile(counts, 0.95) - middle, LOG_WIDTH)
    )
    spread = _spread(log_quantile(counts, 0.16) - middle, log_quantile(counts, 0.84) - middle, power)
    for i in range(BINS):
        x = LOG_LOW + LOG_WIDTH * (i + 0.5)
        ratio = _mixture(x - middle, power, spread, stretches)
        if x < middle:
            ratio = min(ratio, 0.0)
        if x > fit[Q99]:
            ratio = min(ratio, surprise(fit, x))
        table[i] = min(max(ratio, -3.0), LIMIT)


@kernel
def _symmetric_power(low: float, high: float) -> float:
    """Return the power in [0.02, 1.5] after which e^low and e^high lie equally far from 1."""
    below = 0.02
    above = 1.5
    for _ in range(40):
        power = 0.5 * (below + above)
        if exp(power * high) + exp(power * low) > 2.0:
            above = power
        else:
            below = power
    return 0.5 * (below + above)


@kernel
def _spread(low: float, high: float, power: float) -> float:
    return max(0.5 * (exp(power * high) - exp(power * low)) / power, 0.02)


@kernel
def _mixture(x: float, power: float, spread: float, stretches: Floats) -> float:
    """Return log of the mean over stretches of density(x stretched) / density(x)."""
    here = (exp(power * x) - 1.0) / (power * spread)
    total = 0.0
    for stretch in stretches:
        there = (exp(power * (x - log(stretch))) - 1.0) / (power * spread)
        gain = 0.5 * (here * here - there * there) - power * log(stretch)
        total += exp(min(gain, 500.0))
    return log(total / stretches.size + 1e-300)
