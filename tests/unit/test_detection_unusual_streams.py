"""Streams unlike those of the measured sets get neither a flood of alerts nor silence.

Labels come from the simulation, are planted in the second half, and are seen by the figures alone.
Each test prints its figures.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from detectors.backtest.contest import Contender, contest
from detectors.backtest.figures import Figures, Plan, figures_of, judge
from detectors.engine import Engine
from detectors.ordinary import complete
from detectors.settings import DetectionSettings

ROWS, DAYS = 30_000, 30
BUDGET = 20.0
FRAUDS = 150
START = datetime(2025, 1, 1, tzinfo=UTC)


def world(seed: int, users: np.ndarray, merchants: np.ndarray, level: np.ndarray) -> pl.DataFrame:
    """Payments around `level` (shape (ROWS,)); `is_fraud` rows pay twelve times as much."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.random(ROWS)) * DAYS
    is_fraud = np.zeros(ROWS, bool)
    is_fraud[rng.choice(np.arange(ROWS // 2, ROWS), FRAUDS, replace=False)] = True
    amount = level * np.exp(rng.normal(0.0, 0.4, ROWS)) * np.where(is_fraud, 12.0, 1.0)
    return pl.DataFrame(
        {
            "transaction_id": [f"t{i}" for i in range(ROWS)],
            "timestamp": [START + timedelta(days=float(d)) for d in day],
            "user_id": [f"u{u}" for u in users],
            "merchant_id": [f"m{m}" for m in merchants],
            "amount": np.round(amount, 2),
            "currency": "EUR",
            "status": "approved",
            "is_fraud": is_fraud,
        }
    )


def judged(made: pl.DataFrame, settings: DetectionSettings) -> Figures:
    """Score it and count from the second week on."""
    frame = complete(made.drop("is_fraud"))
    truth = made.filter("is_fraud").select(
        "transaction_id",
        kind=pl.lit("planted"),
        episode=pl.lit(None, dtype=pl.Int64),
        is_left_out=pl.lit(value=False),
    )
    plan = Plan(budgets=(int(BUDGET),), skip_days=7, draws=0)
    outcomes = contest([frame], [Contender(name="default", engine=Engine(settings))], 1000)
    (found,) = figures_of(judge(outcomes, truth, plan), plan)
    print(  # noqa: T201 - the figures are asked for
        f"AP {found.average_precision:.3f}, {found.alerts_a_day:.1f} alerts a day, at most "
        f"{max(found.alerts_by_day)}, precision {found.own.precision:.3f}, recall {found.recall:.3f}"
    )
    return found


def is_calm(found: Figures) -> bool:
    """Within a half of the budget on average, and no day with five times as many."""
    return found.alerts_a_day <= 1.5 * BUDGET and max(found.alerts_by_day) <= 5 * BUDGET


SETTINGS = DetectionSettings(budget_per_day=BUDGET)


@pytest.mark.parametrize("rates", [{}, {"JPY": 1 / 160, "USD": 0.9}], ids=["no rates", "rates"])
def test_several_currencies(rates):
    """Users pay in euros, dollars and yen, at a hundredfold of numbers; frauds are found in each."""
    rng = np.random.default_rng(1)
    users = rng.integers(0, 300, ROWS)
    code = rng.integers(0, 3, ROWS)
    level = rng.lognormal(3.5, 0.6, 300)[users] * np.array([1.0, 1.1, 160.0])[code]
    made = world(1, users, rng.integers(0, 100, ROWS), level)
    currency = pl.Series(np.array(["EUR", "USD", "JPY"])[code])

    found = judged(
        made.with_columns(currency=currency), DetectionSettings(budget_per_day=BUDGET, rates=rates)
    )

    assert is_calm(found)
    assert found.recall > 0.8


def test_every_user_and_merchant_is_new():
    """Nobody is seen twice: only what is strange for everybody can be found."""
    made = world(2, np.arange(ROWS), np.arange(ROWS), np.full(ROWS, 40.0))

    found = judged(made, SETTINGS)

    assert is_calm(found)
    assert found.recall > 0.8


def test_a_few_merchants_have_nearly_all_traffic():
    """Three of 200 merchants take 95 %; those are no burst, and frauds among the rest are found, too."""
    rng = np.random.default_rng(3)
    users = rng.integers(0, 300, ROWS)
    merchants = np.where(rng.random(ROWS) < 0.95, rng.integers(0, 3, ROWS), rng.integers(3, 200, ROWS))
    made = world(3, users, merchants, rng.lognormal(3.5, 0.6, 300)[users])

    found = judged(made, SETTINGS)

    assert is_calm(found)
    assert found.recall > 0.8
