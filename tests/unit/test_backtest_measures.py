"""The formulas of a backtest agree with their definitions."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from detectors.backtest.measures import average_precision, bootstrap, place_in_day


def drawn(seed: int, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, and labels that follow them loosely."""
    rng = np.random.default_rng(seed)
    score = np.round(rng.normal(size=count), 1)
    return score, score + rng.normal(size=count) > 1.5


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_scikit_learn(seed):
    """Equal scores are one step."""
    score, is_fraud = drawn(seed)

    assert average_precision(score, is_fraud) == pytest.approx(average_precision_score(is_fraud, score))


def test_a_weight_counts_a_row_as_often():
    score, is_fraud = drawn(1)
    weight = np.random.default_rng(2).integers(0, 3, len(score))

    repeated = np.repeat(np.arange(len(score)), weight)
    assert average_precision(score, is_fraud, weight.astype(float)) == pytest.approx(
        average_precision_score(is_fraud[repeated], score[repeated])
    )


def test_without_a_fraud_there_is_no_average_precision():
    assert np.isnan(average_precision(np.arange(3.0), np.zeros(3, bool)))


def test_equal_contenders_are_equal_in_every_draw():
    """The draws are paired: the same days for all."""
    score, is_fraud = drawn(3)
    found = bootstrap([score, score * 2.0], is_fraud, np.arange(400) // 40, draws=20, seed=1)

    assert (found[:, 0] == found[:, 1]).all()
    assert found[:, 0].std() > 0.0


def test_the_highest_score_of_each_day_comes_first():
    """Of equal scores, the earlier row."""
    place = place_in_day(np.array([1.0, 5.0, 5.0, 2.0, 9.0]), np.array([0, 0, 0, 1, 1]))

    assert place.tolist() == [2, 0, 1, 1, 0]
