"""What labels teach feedback about itself: what a confirmed share says, and whether saying it finds more.

Both are learnt from kept payments whose labels are due, beside what all other detectors said of them.
"""

import warnings
from typing import Final

import numpy as np

from detectors.types import Flags, Floats

WORTH_A_LOOK: Final = -3.0
"""Log odds (1 in 20) from which on it matters that feedback lifts a payment."""
LEAST_FOUND: Final = 5
"""Frauds that it must have lifted."""
KEPT: Final = 0.5
"""Part of the frauds that it promised that must have been there."""
_MOST_LOG_ODDS: Final = 30.0


def has_worth(others: Floats, own: Floats, bad: Flags) -> bool:
    """Tell whether feedback kept its promise where it lifts payments beyond what the others say.

    Args:
        others: shape (n,); log odds of all other detectors together.
        own: shape (n,); log odds of feedback, as they were at the time.
        bad: shape (n,); what the due labels say.
    """
    lifted = (own > others) & (own > WORTH_A_LOOK)
    promised = float((1.0 / (1.0 + np.exp(-own[lifted]))).sum())
    found = int(bad[lifted].sum())
    return found >= max(LEAST_FOUND, KEPT * promised)


def unexplained(others: Floats) -> Floats:
    """Return how much each payment teaches: nothing where other detectors are sure that it is bad."""
    weight: Floats = 1.0 / (1.0 + np.exp(np.clip(others, -_MOST_LOG_ODDS, _MOST_LOG_ODDS)))
    return weight


def terms(x: Floats) -> Floats:
    """Return the columns and their products: shape (n, terms)."""
    width = x.shape[1]
    products = [x[:, i] * x[:, j] for i in range(width) for j in range(i, width)]
    return np.column_stack([x, *products])


def fitted(logits: Floats, bad: Flags, weight: Floats) -> Floats:
    """Fit a logistic regression (scikit-learn); return it with the range of its columns as one array."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - takes a second, seldom needed

    centre, scale = logits.mean(axis=0), np.maximum(logits.std(axis=0), 1e-6)
    x = (logits - centre) / scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that stops early is still one
        regression = LogisticRegression(max_iter=1000).fit(terms(x), bad, sample_weight=weight)
    ends = x.min(axis=0), x.max(axis=0)
    return np.concatenate([regression.intercept_, centre, scale, *ends, regression.coef_[0]])


def predicted(model: Floats, logits: Floats) -> Floats:
    """Return log odds by a fitted regression, never beyond the range that it was fitted to.

    Term by term: the last bit of a product of matrices depends on how many rows there are.
    """
    width = logits.shape[1]
    centre, scale, low, high = model[1 : 1 + 4 * width].reshape(4, width)
    x = np.clip((logits - centre) / scale, low, high)
    log_odds = np.full(len(x), model[0])
    for term, coefficient in zip(terms(x).T, model[1 + 4 * width :], strict=True):
        log_odds += term * coefficient
    return log_odds
