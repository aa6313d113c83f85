"""A detector with a stand-in loses weight exactly where it finds no more than chance does."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from detectors.engine import Engine
from detectors.joining import Joining
from detectors.kernels.calibrate import calibrate
from detectors.kernels.standin import WIDTH, stand_in_evidence
from detectors.kernels.tail import SILENT
from detectors.methods import all_methods
from detectors.ordinary import START, complete
from detectors.settings import Calibration, DetectionSettings

DAYS, PER_DAY, MERCHANTS = 60, 600, 300


def test_a_stand_in_gives_each_row_what_the_row_before_it_said():
    ratio = np.array([8.0, np.nan, -1.0, -1.0])
    out, states, before = np.empty(4), np.zeros((4, WIDTH)), np.zeros(1)
    settings = np.array([3.0, 0.001, 10.0, 0.8, 40.0, 500.0, 150.0, 2.0])
    times = np.arange(1, 5, dtype=np.int64)
    stand_in_evidence(times, np.arange(4, dtype=np.int32), ratio, states, before, settings, out)

    odds = np.log(0.0008 / 0.9992)
    assert out == pytest.approx([odds, SILENT, odds + 8.0, odds - 1.0])
    assert before[0] == -1.0


@pytest.mark.parametrize(("finds", "lost"), [(200, 3.4), (300, 1.4), (2000, 0.0)])
def test_a_detector_loses_weight_where_its_stand_in_finds_as_much(finds, lost):
    """Of 20,000 rows, the stand-in has 200 beyond a log odds of -1, the detector so many."""
    evidence, by_chance = np.full((2, 20_000, 2), -6.0)
    evidence[:: 20_000 // finds, 0], by_chance[::100, 0] = 2.0, 2.0
    by_chance[:, 1] = SILENT

    assert moved(evidence, by_chance) == pytest.approx(-lost, abs=0.5)


def test_what_another_detector_explains_is_no_find():
    evidence, by_chance = np.full((2, 20_000, 2), -6.0)
    evidence[::10, 0], by_chance[::100, 0] = 2.0, 2.0
    evidence[::10, 1], by_chance[:, 1] = 9.0, SILENT

    assert moved(evidence, by_chance) == pytest.approx(-5.0, abs=0.1)


def moved(evidence: np.ndarray, by_chance: np.ndarray) -> float:
    """Return by how much the last row of the first detector was moved."""
    joining = Joining(all_methods(DetectionSettings())[:2], Calibration())
    state, settings = joining.state, joining._settings
    out = np.empty_like(evidence)
    bounded = np.array([True, True])
    calibrate(evidence, by_chance, bounded, state["counts"], state["scales"], settings, out)
    return float(out[-1, 0] - evidence[-1, 0])


def test_merchants_that_inflate_are_found_beside_a_stand_in():
    """From day 20 on, 40 merchants take 2.5 times the usual amounts for ten days each."""
    assert (merchant_evidence(payments(40)) > -1.0).sum() > 50


def merchant_evidence(frame: pl.DataFrame) -> np.ndarray:
    """Return the calibrated evidence of `merchant_amount` in the second half."""
    engine = Engine(DetectionSettings())
    parts = [engine.step(batch).evidence for batch in frame.iter_slices(1000)]
    return np.concatenate(parts)[frame.height // 2 :, engine.names.index("merchant_amount")]


def payments(inflated: int) -> pl.DataFrame:
    """Return log-normal amounts of 200 users, wide enough that merchants look odd by chance."""
    rng = np.random.default_rng(7)
    count = DAYS * PER_DAY
    day = np.sort(rng.random(count)) * DAYS
    user, merchant = rng.integers(0, 200, count), rng.integers(0, MERCHANTS, count)
    amount = np.exp(3.0 + user % 7 * 0.2 + rng.normal(0.0, 0.6, count))
    begins = np.full(MERCHANTS, float(DAYS))
    begins[:inflated] = rng.uniform(20, DAYS - 10, inflated)
    amount *= np.where((day >= begins[merchant]) & (day < begins[merchant] + 10), 2.5, 1.0)
    return complete(
        pl.DataFrame(
            {
                "transaction_id": [f"t{i}" for i in range(count)],
                "timestamp": [START + timedelta(days=float(d)) for d in day],
                "user_id": [f"u{u}" for u in user],
                "merchant_id": [f"m{m}" for m in merchant],
                "amount": amount,
                "currency": "EUR",
                "status": "approved",
            }
        )
    )
