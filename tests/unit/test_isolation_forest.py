"""The forest that walks by our kernel is scikit-learn's, and is refitted by the stream alone."""

from itertools import pairwise

import numpy as np
import pytest

from detectors.isolation import FEATURES, Isolation, sklearn_forest
from detectors.settings import Forest

DAY_MS = 86_400_000
SETTINGS = Forest(trees=20, warm_up=600, sample_rows=1024, rows_per_day=300, refit_days=2)


def sample(count: int, seed: int = 3) -> np.ndarray:
    x = np.zeros((count, FEATURES), dtype=np.float32)
    x[:, :5] = np.random.default_rng(seed).normal(size=(count, 5))
    return x


def run(x: np.ndarray, times: np.ndarray, cuts: list[int]) -> tuple[Isolation, np.ndarray]:
    isolation = Isolation(SETTINGS)
    bounds = [0, *cuts, len(x)]
    parts = [isolation.score(times[a:b], x[a:b], np.ones(b - a, dtype=bool)) for a, b in pairwise(bounds)]
    return isolation, np.concatenate(parts)


@pytest.mark.parametrize("kept", [256, 300, 1024])
def test_the_kernel_gives_what_sklearn_gives(kept):
    """Every score equals `-score_samples` of the same forest."""
    settings = Forest(trees=20, warm_up=kept, sample_rows=1024)
    isolation, x = Isolation(settings), sample(kept)
    isolation.score(np.full(kept, DAY_MS), x, np.ones(kept, dtype=bool))
    new = sample(500, seed=4)

    ours = isolation.score(np.full(500, DAY_MS), new, np.ones(500, dtype=bool))

    np.testing.assert_allclose(ours, -sklearn_forest(x, settings, 0).score_samples(new), rtol=1e-6)


def test_nothing_is_said_before_the_first_fit():
    _, scores = run(sample(500), np.arange(500) * 1000 + DAY_MS, [])

    assert np.isnan(scores).all()


def test_fits_take_place_at_the_same_rows_wherever_batches_are_cut():
    x, times = sample(5000), DAY_MS + np.arange(5000) * (DAY_MS // 400)
    one, whole = run(x, times, [])
    many, parts = run(x, times, [1, 599, 600, 601, 2222, 4000])

    np.testing.assert_array_equal(whole, parts)
    for name, array in one.state.dump().items():
        np.testing.assert_array_equal(array, many.state.dump()[name])


def test_suspected_rows_are_not_learnt():
    x = sample(1000)
    isolation = Isolation(SETTINGS)
    isolation.score(np.full(1000, DAY_MS), x, np.zeros(1000, dtype=bool))

    scores = isolation.score(np.full(10, 5 * DAY_MS), x[:10], np.ones(10, dtype=bool))

    assert np.isnan(scores).all()


def test_what_lies_apart_is_isolated():
    x = sample(1000)
    apart = np.zeros((1, FEATURES), dtype=np.float32)
    apart[0, :5] = 6.0
    isolation, _ = run(x, np.full(1000, DAY_MS), [])

    scores = isolation.score(np.full(11, DAY_MS), np.concatenate([x[:10], apart]), np.ones(11, dtype=bool))

    assert np.argmax(scores) == 10
