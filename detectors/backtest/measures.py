"""The formulas of a backtest: pure functions of scores, labels and days."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.types import Flags, Floats, Times

Order = npt.NDArray[np.int64]
"""Row numbers."""


def average_precision(score: Floats, is_fraud: Flags, weight: Floats | None = None) -> float:
    """Return the area under precision over recall in steps, equal scores as one; NaN without a fraud.

    The definition is that of scikit-learn's `average_precision_score`.  `weight` counts rows repeatedly.
    """
    precision, recall = precision_and_recall(score, is_fraud, weight)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision)) if recall.size else float("nan")


def precision_and_recall(
    score: Floats, is_fraud: Flags, weight: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return precision and recall at every distinct score, highest first; empty without a fraud."""
    order = np.argsort(-score, kind="stable")
    return _steps(_Ranked(order, score), is_fraud, np.ones(len(score)) if weight is None else weight)


def bootstrap(
    scores: Sequence[Floats], is_fraud: Flags, day: Times, draws: int, seed: int
) -> npt.NDArray[np.float64]:
    """Return average precisions over resampled days, shape (draws, contenders).

    Days are drawn with replacement, whole, since rows of a day are not independent; each draw is the same
    for every contender, so that their differences are paired.
    """
    ranked = [_Ranked(np.argsort(-score, kind="stable"), score) for score in scores]
    number = np.unique(day, return_inverse=True)[1]
    random, days = np.random.default_rng(seed), int(number.max(initial=-1)) + 1
    found = np.full((draws, len(scores)), np.nan)
    for draw in range(draws):
        weight = np.bincount(random.integers(0, days, days), minlength=days).astype(np.float64)[number]
        for k, one in enumerate(ranked):
            precision, recall = _steps(one, is_fraud, weight)
            if recall.size:
                found[draw, k] = np.sum(np.diff(recall, prepend=0.0) * precision)
    return found


def place_in_day(score: Floats, day: Times) -> Order:
    """Return each row's place among the scores of its day, 0 the highest; of equal scores the earlier row."""
    order = np.lexsort((np.arange(len(score)), -score, day))
    sorted_day = day[order]
    starts = np.flatnonzero(np.diff(sorted_day, prepend=sorted_day[:1] - 1))
    place = np.empty(len(score), np.int64)
    place[order] = np.arange(len(score)) - np.repeat(starts, np.diff(starts, append=len(score)))
    return place


class _Ranked:
    """Rows from the highest score down, and where a run of equal scores ends."""

    def __init__(self, order: npt.NDArray[Any], score: Floats) -> None:
        self.order = order
        self.ends = np.flatnonzero(np.diff(score[order], append=-np.inf))


def _steps(ranked: _Ranked, is_fraud: Flags, weight: Floats) -> tuple[Floats, Floats]:
    counted = weight[ranked.order]
    right = np.cumsum(counted * is_fraud[ranked.order])[ranked.ends]
    if not right.size or right[-1] == 0.0:
        return np.empty(0), np.empty(0)
    flagged = np.cumsum(counted)[ranked.ends]
    precision: Floats = right / np.maximum(flagged, 1e-12)
    return precision, right / right[-1]
