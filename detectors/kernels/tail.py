"""How improbable a large value is: a tail fitted to the bulk, so that a few anomalies do not bend it.

In x = log(value), minus the log of the tail probability runs through the quantiles 90, 97 and 99 %
and goes on beyond them as a parabola that never flattens: straight for a power law, bent upwards for
log-normal and lighter tails.  What lies beyond 99 % never takes part in the fit.
"""

from math import exp, log
from typing import Final

from detectors.kernels.compiled import kernel
from detectors.kernels.histogram import LOG_LOW, LOG_WIDTH, bin_of, log_quantile, refresh_due
from detectors.types import Floats, Rows32

SILENT: Final = -20.0
"""Evidence of a hypothesis that has nothing to say."""
LIMIT: Final = 40.0
"""No evidence is larger."""

Q90: Final = 0
Q99: Final = 1
SLOPE: Final = 2
BEND: Final = 3
SEEN: Final = 4
FIT_WIDTH: Final = 5

_T90: Final = 2.302585092994046
_T97: Final = 3.506557897319982
_T99: Final = 4.605170185988092


@kernel
def fit_tail(counts: Floats, fit: Floats) -> None:
    """Fit the tail of a log histogram; `fit` (FIT_WIDTH) takes quantiles, slope and bend."""
    x90 = log_quantile(counts, 0.90)
    x97 = max(log_quantile(counts, 0.97), x90 + LOG_WIDTH)
    x99 = max(log_quantile(counts, 0.99), x97 + LOG_WIDTH)
    lower = (_T97 - _T90) / (x97 - x90)
    upper = (_T99 - _T97) / (x99 - x97)
    bend = max(0.0, (upper - lower) / (x99 - x90))
    fit[Q90] = x90
    fit[Q99] = x99
    fit[BEND] = bend
    fit[SLOPE] = upper + bend * (x99 - x97) if bend > 0.0 else (_T99 - _T90) / (x99 - x90)


@kernel
def surprise(fit: Floats, x: float) -> float:
    """Return minus the log of the tail probability of x = log(value); 0 below the 90 % quantile."""
    if x < fit[Q90]:
        return 0.0
    if x < fit[Q99]:
        return float(_T90 + (_T99 - _T90) * (x - fit[Q90]) / (fit[Q99] - fit[Q90]))
    beyond = x - fit[Q99]
    return float(_T99 + fit[SLOPE] * beyond + fit[BEND] * beyond * beyond)


@kernel
def population_tail(
    values: Floats,
    group: Rows32,
    counts: Floats,
    fits: Floats,
    settings: Floats,
    out: Floats,
    usual: Floats,
    size: Floats,
) -> None:
    """Score positive values by the tail of all values of their group, then learn them.

    Args:
        values: shape (n,); NaN and values <= 0 stay silent and are not learnt.
        group: shape (n,); whose tail.
        counts: shape (groups, BINS); log histograms, updated.
        fits: shape (groups, FIT_WIDTH); updated.
        settings: even odds at this surprise, gain, warm-up (values), forgetting every (values).
        out: shape (n,); evidence in log odds.
        usual: shape (n,); the 99 % quantile that the value was compared with.
        size: shape (n,); the values behind it.
    """
    for i in range(values.size):
        out[i] = SILENT
        usual[i] = 0.0
        if not values[i] > 0.0:
            continue
        x = log(values[i])
        fit = fits[group[i]]
        size[i] = fit[SEEN]
        if fit[SEEN] >= settings[2]:
            out[i] = min(max(settings[1] * (surprise(fit, x) - settings[0]), SILENT), LIMIT)
            usual[i] = exp(fit[Q99])
        _learn(x, counts[group[i]], fit, settings)


@kernel
def _learn(x: float, counts: Floats, fit: Floats, settings: Floats) -> None:
    counts[bin_of(x, LOG_LOW, LOG_WIDTH)] += 1.0
    fit[SEEN] += 1.0
    if refresh_due(fit[SEEN], settings[2], 4096.0):
        fit_tail(counts, fit)
    if fit[SEEN] % settings[3] == 0.0:
        counts *= 0.9
