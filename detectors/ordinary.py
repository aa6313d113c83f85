"""A small seeded stream of ordinary transactions: what kernels warm up on, and the past of a canary.

Users with their own usual amounts, home places and countries, paying at random merchants about three
times a day, never at night.  The same arguments give the same stream.
"""

from datetime import UTC, datetime

import numpy as np
import polars as pl

from txwatch.columns import TRANSACTION

START = datetime(2024, 1, 1, tzinfo=UTC)


def stream(count: int, *, users: int = 50, merchants: int = 40, seed: int = 1) -> pl.DataFrame:
    """Return `count` transactions (columns TRANSACTION) in event-time order from START on."""
    rng = np.random.default_rng(seed)
    user, merchant = rng.integers(0, users, count), rng.integers(0, merchants, count)
    usual = np.exp(np.random.default_rng(seed).normal(3.5, 0.5, users))
    day, part = np.divmod(np.sort(rng.random(count)) * count / (3 * users), 1.0)
    day += 0.25 + 0.65 * part
    start_ms = int(START.timestamp() * 1000)
    columns = {
        "transaction_id": [f"t{n}" for n in range(count)],
        "timestamp": (start_ms + day * 86_400_000).astype(np.int64),
        "user_id": [f"u{n}" for n in user],
        "merchant_id": [f"m{n}" for n in merchant],
        "amount": np.round(usual[user] * np.abs(rng.normal(1.0, 0.3, count)) + 1.0, 2),
        "currency": ["EUR"] * count,
        "status": np.where(rng.random(count) < 0.03, "declined", "approved").tolist(),
        "country": np.where(user % 7 == 0, "FR", "DE").tolist(),
        "lat": 48.0 + user % 10 * 0.2 + rng.normal(0.0, 0.05, count),
        "lon": 9.0 + user % 9 * 0.2 + rng.normal(0.0, 0.05, count),
        "device_id": [f"d{n}" for n in user],
        "merchant_category": [f"c{n % 4}" for n in merchant],
    }
    return complete(pl.DataFrame(columns))


def complete(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with all columns of TRANSACTION in order, those that it lacks being null."""
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in TRANSACTION.items() if name not in frame.columns
    ]
    typed = [pl.col(name).cast(dtype) for name, dtype in TRANSACTION.items() if name != "timestamp"]
    time = pl.col("timestamp").cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    if isinstance(frame.schema["timestamp"], pl.Datetime):
        time = pl.col("timestamp").cast(TRANSACTION["timestamp"])
    return frame.with_columns(missing).select(*typed, time).select(list(TRANSACTION))
