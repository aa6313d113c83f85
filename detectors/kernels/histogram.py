"""Histograms that run with the stream: 1,024 bins, a quantile in a microsecond.

A value's bin is `(value - low) / width`; values beyond either end stay in the end bin.
"""

from typing import Final

from detectors.kernels.compiled import kernel
from detectors.types import Floats

BINS: Final = 1024
LOG_LOW: Final = -12.0
"""Lowest logarithm that a log histogram tells apart (e^-12)."""
LOG_WIDTH: Final = 1.0 / 32.0
"""Width of a bin of a log histogram: 3 %."""


@kernel
def bin_of(value: float, low: float, width: float) -> int:
    """Return the bin of a value, the end bins taking what is beyond."""
    return min(max(int((value - low) / width), 0), BINS - 1)


@kernel
def quantile(counts: Floats, share: float, low: float, width: float) -> float:
    """Return the value below which `share` (0 to 1) of the weight lies, linear within its bin."""
    wanted = counts.sum() * share
    below = 0.0
    for i in range(counts.size):
        if counts[i] > 0.0 and below + counts[i] >= wanted:
            return float(low + width * (i + (wanted - below) / counts[i]))
        below += counts[i]
    return low + width * counts.size


@kernel
def log_quantile(counts: Floats, share: float) -> float:
    """Return a quantile of a log histogram, as a logarithm."""
    return quantile(counts, share, LOG_LOW, LOG_WIDTH)


@kernel
def refresh_due(seen: float, warm_up: float, every: float) -> bool:
    """Whether what is derived from a histogram is due: at the warm-up, twice, four times, then `every`."""
    if seen < warm_up:
        return False
    return seen in (warm_up, 2 * warm_up, 4 * warm_up) or seen % every == 0.0
