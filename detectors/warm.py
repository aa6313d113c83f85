"""Compiling every kernel before the first transaction comes."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from detectors.engine import Engine
from detectors.settings import DetectionSettings, Forest
from txwatch.columns import TRANSACTION


def warm_up() -> None:
    """Run a few made-up transactions through an engine that is thrown away.

    Compiles every kernel for the types that it meets at work: about ten seconds on a fresh machine, a
    quarter of a second from the compiled cache.
    """
    settings = DetectionSettings(forest=Forest(trees=1, warm_up=300, sample_rows=512))
    Engine(settings).step(_made_up(310))


def _made_up(count: int) -> pl.DataFrame:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    numbers = np.arange(count)
    columns = {
        "transaction_id": [f"warm-{n}" for n in numbers],
        "timestamp": [start + timedelta(minutes=int(n)) for n in numbers],
        "user_id": [f"user-{n % 7}" for n in numbers],
        "merchant_id": [f"merchant-{n % 5}" for n in numbers],
        "amount": 1.0 + numbers % 11,
        "currency": ["EUR"] * count,
        "status": ["declined" if n % 10 == 0 else "approved" for n in numbers],
        "country": ["DE"] * count,
        "lat": 52.0 + 0.01 * (numbers % 3),
        "lon": 13.0 + 0.01 * (numbers % 2),
        "device_id": ["device"] * count,
    }
    return pl.DataFrame(columns, schema_overrides={k: TRANSACTION[k] for k in columns}).select(
        *(pl.col(k) if k in columns else pl.lit(None, t).alias(k) for k, t in TRANSACTION.items())
    )
