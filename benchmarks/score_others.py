"""What others' detectors manage of the same payments, each doing its own part of the work only.

They get four numbers a payment, worked out beforehand and not counted: the logarithm of the amount, that of
the amount over the user's mean so far, the hour, the logarithm of the time since the user's last payment.
What is fitted once is not counted either.  None of them keeps baselines, names reasons, applies rules, grades
against a budget or writes anything.
"""

import time
from collections.abc import Callable

import numpy as np
import polars as pl

from txwatch.settings import SCORED_TOGETHER

MICRO_BATCH = SCORED_TOGETHER
FITTED_ROWS = 10_000
WINDOW = 50
NAMES = ("amount", "ratio", "hour", "pause")


def compare(rows: pl.DataFrame) -> dict[str, object]:
    """Return payments a second and processor time, by detector; a sentence where one is not installed."""
    features = measured(rows)
    found: dict[str, object] = {}
    for name, run, count in RUNS:
        try:
            begun = run(rows[:count], features[: FITTED_ROWS + count])
        except ImportError as missing:
            found[name] = f"not measured: {missing.name} is not installed (pip install txwatch[benchmarks])"
            continue
        started = time.process_time()
        scored = begun()
        found[name] = round(scored / (time.process_time() - started))
    return found


def measured(rows: pl.DataFrame) -> np.ndarray:
    """Return the four numbers of each payment; shape (n, 4)."""
    before = pl.col("amount").cum_sum().over("user_id") - pl.col("amount")
    count = pl.int_range(pl.len()).over("user_id")
    pause = pl.col("timestamp").diff().dt.total_seconds().over("user_id").fill_null(86_400)
    return rows.select(
        amount=(pl.col("amount") + 1).log(),
        ratio=((pl.col("amount") + 1) / ((before + 150) / (count + 3) + 1)).log(),
        hour=pl.col("timestamp").dt.hour(),
        pause=(pause + 1).log(),
    ).to_numpy().astype(np.float64)  # fmt: skip


def half_space_trees(_: pl.DataFrame, features: np.ndarray) -> Callable[[], int]:
    """river: one payment at a time, scored, then learnt; 25 trees of height 15, as in its paper."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415 - may be missing

    low, high = features.min(axis=0), features.max(axis=0)
    unit = ((features - low) / np.maximum(high - low, 1e-9))[FITTED_ROWS:]
    payments = [dict(zip(NAMES, values, strict=True)) for values in unit.tolist()]
    trees = HalfSpaceTrees(n_trees=25, height=15, window_size=250, seed=1)

    def run() -> int:
        for payment in payments:
            trees.score_one(payment)
            trees.learn_one(payment)
        return len(payments)

    return run


def ecod(_: pl.DataFrame, features: np.ndarray) -> Callable[[], int]:
    """PyOD's ECOD, fitted to ten thousand payments, then a micro-batch at a time."""
    from pyod.models.ecod import ECOD  # noqa: PLC0415 - may be missing

    return in_batches(ECOD().fit(features[:FITTED_ROWS]).decision_function, features)


def isolation_forest(_: pl.DataFrame, features: np.ndarray) -> Callable[[], int]:
    """PyOD's isolation forest of 100 trees, fitted and asked in the same way."""
    from pyod.models.iforest import IForest  # noqa: PLC0415 - may be missing

    return in_batches(IForest(random_state=1).fit(features[:FITTED_ROWS]).decision_function, features)


def pandas_z_score(rows: pl.DataFrame, _: np.ndarray) -> Callable[[], int]:
    """Each amount against the user's last fifty, a pandas Series a payment."""
    from pandas import Series  # noqa: PLC0415 - may be missing

    payments = list(zip(rows["user_id"], rows["amount"], strict=True))

    def run() -> int:
        known: dict[str, list[float]] = {}
        for user, amount in payments:
            past = known.setdefault(user, [])
            if len(past) > 1:
                history = Series(past)
                _ = (amount - history.mean()) / (history.std() or 1.0)
            past.append(amount)
            del past[:-WINDOW]
        return len(payments)

    return run


def in_batches(score: Callable[[np.ndarray], np.ndarray], features: np.ndarray) -> Callable[[], int]:
    def run() -> int:
        for start in range(FITTED_ROWS, len(features), MICRO_BATCH):
            score(features[start : start + MICRO_BATCH])
        return len(features) - FITTED_ROWS

    return run


RUNS = (
    ("river HalfSpaceTrees", half_space_trees, 5_000),
    ("PyOD ECOD", ecod, 50_000),
    ("PyOD isolation forest", isolation_forest, 50_000),
    ("pandas z-score by row", pandas_z_score, 50_000),
)
"""How many payments each is timed on: enough that its rate does not change any more."""
