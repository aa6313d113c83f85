"""Labels bring each detector to the scale that it has proven, from due labels alone."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from detectors.engine import Engine
from detectors.labels import LateLabels
from detectors.offline import score
from detectors.ordinary import START, complete
from detectors.provenscale import line
from detectors.settings import DetectionSettings, Feedback

DELAY, DAYS = 7, 60
SETTINGS = DetectionSettings(feedback=Feedback(delay_days=DELAY))


def test_a_detector_that_says_what_is_so_is_left_as_it_is():
    rng = np.random.default_rng(1)
    evidence = rng.uniform(-6, 6, 5000)
    bad = rng.random(5000) < 1 / (1 + np.exp(-evidence))

    assert line(evidence, bad) == pytest.approx((0.0, 1.0), abs=0.15)


@pytest.mark.parametrize(("right", "moves"), [(0.0, -3.0), (1.0, 3.0)])
def test_a_detector_that_is_always_wrong_or_right_is_lowered_or_raised(right, moves):
    evidence = np.linspace(-2.0, 2.0, 500)
    start, slope = line(evidence, np.arange(500) < right * 500)

    assert np.sign(start) == np.sign(moves)
    assert abs(start) > 1.5
    assert slope > 0.0


@pytest.fixture(scope="module")
def payments():
    """Users whose payments are ten times the usual now and then; only those of `m0` are frauds."""
    rng = np.random.default_rng(3)
    count = DAYS * 300
    day, merchant = np.sort(rng.random(count)) * DAYS, rng.integers(0, 4, count)
    large = rng.random(count) < 0.02
    amount = np.exp(rng.normal(3.0, 0.3, count)) * np.where(large, 10.0, 1.0)
    frame = pl.DataFrame(
        {
            "transaction_id": [f"t{i}" for i in range(count)],
            "timestamp": [START + timedelta(days=float(d)) for d in day],
            "user_id": [f"u{u}" for u in rng.integers(0, 100, count)],
            "merchant_id": [f"m{m}" for m in merchant],
            "amount": np.round(amount, 2),
            "currency": "EUR",
            "status": "approved",
        }
    )
    frauds = frame["transaction_id"].filter(pl.Series(large & (merchant == 0)))
    return complete(frame), frozenset(frauds.to_list()), large


def run(frame, labels, engine):
    return np.concatenate([scored.score for _, scored in score([frame], engine, 500, labels)])


def test_a_stream_whose_suspects_are_mostly_no_frauds_is_scored_lower(payments):
    frame, frauds, large = payments
    without = run(frame, None, Engine(DetectionSettings()))

    taught = run(frame, LateLabels(frauds, DELAY), Engine(SETTINGS))

    late = large & (np.arange(len(large)) > 0.8 * len(large))
    assert np.median(taught[late]) < np.median(without[late])
    early = np.arange(len(large)) < len(large) * DELAY / DAYS
    np.testing.assert_allclose(taught[early], without[early], atol=0.05)


def test_a_restart_with_one_detector_less_keeps_the_lines_of_the_others(payments):
    frame, frauds, _ = payments
    engine = Engine(SETTINGS)
    run(frame, LateLabels(frauds, DELAY), engine)
    lines = dict(zip(engine.names, engine._proven.state["lines"].tolist(), strict=True))

    fewer = DetectionSettings(feedback=Feedback(delay_days=DELAY), off=("country",))
    other = Engine.restore(engine.dump(), fewer)

    kept = dict(zip(other.names, other._proven.state["lines"].tolist(), strict=True))
    assert kept == {name: value for name, value in lines.items() if name != "country"}
    assert any(value != [0.0, 1.0] for value in kept.values())
