"""Percentiles of amounts: DDSketch, whose answers are within 2 % of the true amount, many at once.

Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees"
(VLDB 2019).  Bin k counts amounts in (g^(k-1), g^k] with g = 1.02 / 0.98; amounts up to half a cent are
counted as nothing.  Two sketches are joined by adding their bins.
"""

import math
import zlib

import numpy as np
import numpy.typing as npt

ACCURACY = 0.02
SMALLEST = 0.005
LARGEST = 1e13

_LOG = math.log((1 + ACCURACY) / (1 - ACCURACY))
_FIRST = math.floor(math.log(SMALLEST) / _LOG)
BINS = math.ceil(math.log(LARGEST) / _LOG) - _FIRST + 1

Bins = npt.NDArray[np.int64]


def bin_of(amounts: npt.NDArray[np.float64]) -> Bins:
    """Return each amount's bin; 0 is nothing, beyond the largest is the last."""
    safe = np.maximum(amounts, SMALLEST)
    number = np.ceil(np.log(safe) / _LOG).astype(np.int64) - _FIRST
    return np.where(amounts <= SMALLEST, 0, np.minimum(number, BINS - 1))


def quantile(bins: npt.NDArray[np.int32], share: float) -> float | None:
    """Return the amount below which this share of the amounts lies; None for an empty sketch."""
    upto = np.cumsum(bins, dtype=np.int64)
    if upto[-1] == 0:
        return None
    number = int(np.searchsorted(upto, math.floor(share * (int(upto[-1]) - 1)), side="right"))
    return 0.0 if number == 0 else 2.0 * math.exp((number + _FIRST) * _LOG) / (1.0 + math.exp(_LOG))


def pack(bins: npt.NDArray[np.int32]) -> bytes:
    """Return a sketch as bytes: numbers of bins that are not empty, then their counts."""
    used = np.flatnonzero(bins)
    return zlib.compress(used.astype("<u2").tobytes() + bins[used].astype("<u4").tobytes(), 1)


def unpack(sketch: bytes) -> npt.NDArray[np.int32]:
    """Return what `pack` was given."""
    content = zlib.decompress(sketch)
    size = len(content) // 6
    bins = np.zeros(BINS, dtype=np.int32)
    bins[np.frombuffer(content, "<u2", size)] = np.frombuffer(content, "<u4", size, 2 * size)
    return bins
