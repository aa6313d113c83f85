"""Whether feedback finds more than chance, and what it learns where others explain the fraud."""

import numpy as np
import pytest

from detectors.worth import fitted, has_worth, predicted, unexplained


@pytest.mark.parametrize(
    ("lifted", "frauds", "others", "has"),
    [(20, 10, -9.0, True), (20, 9, -9.0, False), (4, 4, -9.0, False), (20, 20, 9.0, False)],
)
def test_half_of_the_frauds_that_it_promised_beyond_the_others_must_be_there(lifted, frauds, others, has):
    """`lifted` payments are promised to be frauds nearly for sure."""
    own = np.full(lifted, 9.0)

    assert has_worth(np.full(lifted, others), own, np.arange(lifted) < frauds) == has


def test_what_others_explain_teaches_nothing():
    rng = np.random.default_rng(1)
    logits, bad = rng.normal(size=(2000, 4)), np.arange(2000) % 4 == 0
    logits[bad, 0] += 3.0
    others = np.where(bad, 12.0, -12.0)

    naive = predicted(fitted(logits, bad, np.ones(2000)), logits[bad])
    aware = predicted(fitted(logits, bad, unexplained(others)), logits[bad])

    assert np.median(naive) > 0.0
    assert np.median(aware) < -4.0


def test_nothing_is_said_beyond_what_was_fitted():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(500, 4))
    model = fitted(logits, rng.random(500) < 0.3, np.ones(500))

    assert predicted(model, logits.max(axis=0)[None] + 50.0) == pytest.approx(
        predicted(model, logits.max(axis=0)[None])
    )
