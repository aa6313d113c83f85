"""How fast transactions are scored, and with how much memory.

    python benchmarks/score.py [--data DIR] [--transactions N] [--json]

Scores a stream in micro-batches of 1,000 with every detector on: the `transactions.parquet` in DIR
(columns customer_id, terminal_id, amount, timestamp, transaction_id), or seeded transactions of its own.
The last line with --json is one JSON object.  `*_cpu` figures count processor time, which other
programs on the machine do not disturb.
"""

import argparse
import json
import os
import resource
import statistics
import time
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import polars as pl

from detectors.engine import Engine
from detectors.settings import DetectionSettings
from detectors.warm import warm_up
from txwatch.columns import TRANSACTION

MICRO_BATCH = 1000


def main() -> None:
    arguments = parse()
    started = time.perf_counter()
    warm_up()
    compile_seconds = time.perf_counter() - started
    frame = from_file(arguments.data) if arguments.data else made_up(arguments.transactions)
    figures = {"compile_seconds": round(compile_seconds, 1), **run(frame)}
    if not arguments.data:
        figures |= large_state()
    for name, value in figures.items():
        print(f"{name:28} {value}")
    if arguments.json:
        print(json.dumps(figures))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with transactions.parquet")
    parser.add_argument("--transactions", type=int, default=1_000_000, help="how many to make up")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser.parse_args()


def run(frame: pl.DataFrame) -> dict[str, object]:
    """Score the whole frame; return the figures."""
    engine = Engine(DetectionSettings())
    stages = Stages(engine)
    days = frame["timestamp"].dt.truncate("1d").to_physical().to_numpy()
    wall, cpu = [], []
    for batch in frame.iter_slices(MICRO_BATCH):
        before = time.perf_counter(), time.process_time()
        engine.step(batch)
        wall.append(time.perf_counter() - before[0])
        cpu.append(time.process_time() - before[1])
    return {
        "transactions": frame.height,
        "transactions_per_second": round(frame.height / sum(wall)),
        "transactions_per_second_cpu": round(frame.height / sum(cpu)),
        "stage_shares": stages.shares(sum(cpu)),
        "flatness": flatness(days[::MICRO_BATCH], cpu),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "state_mb": round(engine.nbytes() / 2**20, 1),
        "snapshot_mb": round(len(engine.dump()) / 2**20, 1),
    }


def flatness(day: np.ndarray, seconds: list[float]) -> float:
    """Return the median time of a micro-batch in the last five days over that in days 2 to 6."""
    known = np.unique(day)
    if len(known) < 12:
        return float("nan")
    taken = np.array(seconds)
    early = statistics.median(taken[np.isin(day, known[1:6])])
    return round(float(statistics.median(taken[np.isin(day, known[-6:-1])]) / early), 3)


def large_state() -> dict[str, object]:
    """Return the memory of 100,000 users and 10,000 merchants."""
    engine = Engine(DetectionSettings())
    frame = made_up(400_000, users=100_000, merchants=10_000)
    for batch in frame.iter_slices(10_000):
        engine.step(batch)
    return {"state_mb_100k_users": round(engine.nbytes() / 2**20, 1)}


class Stages:
    """Processor time by part of the engine, taken by wrapping its parts."""

    PARTS = (
        ("entities", "_builder.build"),
        ("features", "_features.step"),
        ("ids", "_remembered.step"),
        ("join", "_joining.step"),
        ("threshold", "_grading.thresholds"),
    )

    def __init__(self, engine: Engine) -> None:
        self.seconds: dict[str, float] = {}
        for label, path in self.PARTS:
            part, name = path.split(".")
            self.watch(label, getattr(engine, part), name)
        for method in engine._methods:  # noqa: SLF001 - a benchmark looks inside
            self.watch(method.name, method, "score")

    def watch(self, label: str, part: object, name: str) -> None:
        inner = getattr(part, name)

        def timed(*arguments, **named):
            started = time.process_time()
            try:
                return inner(*arguments, **named)
            finally:
                self.seconds[label] = self.seconds.get(label, 0.0) + time.process_time() - started

        setattr(part, name, timed)

    def shares(self, total: float) -> dict[str, float]:
        shares = {label: round(seconds / total, 3) for label, seconds in self.seconds.items()}
        return {**shares, "rest": round(1.0 - sum(shares.values()), 3)}


def from_file(folder: Path) -> pl.DataFrame:
    """Return the transactions of a folder in the shape of a feed."""
    frame = pl.read_parquet(folder / "transactions.parquet")
    return complete(
        frame.select(
            pl.col("transaction_id").cast(pl.String),
            pl.col("timestamp").cast(TRANSACTION["timestamp"]),
            pl.col("customer_id").cast(pl.String).alias("user_id"),
            pl.col("terminal_id").cast(pl.String).alias("merchant_id"),
            "amount",
        )
    )


def made_up(count: int, users: int = 5_000, merchants: int = 10_000, seed: int = 1) -> pl.DataFrame:
    """Return seeded transactions: 10,000 a day, log-normal amounts, places, declined attempts."""
    rng = np.random.default_rng(seed)
    user, merchant = rng.integers(0, users, count), rng.integers(0, merchants, count)
    day = np.sort(rng.random(count)) * count / 10_000
    return complete(
        pl.DataFrame(
            {
                "transaction_id": np.arange(count),
                "timestamp": (1_735_689_600_000 + day * 86_400_000).astype(np.int64),
                "user_id": user,
                "merchant_id": merchant,
                "amount": np.round(np.exp(rng.normal(3.5 + user % 5 * 0.2, 0.6)), 2),
                "status": np.where(rng.random(count) < 0.02, "declined", "approved"),
                "lat": 48.0 + merchant % 100 * 0.01,
                "lon": 9.0 + merchant % 90 * 0.01,
                "country": np.where(merchant % 50 == 0, "FR", "DE"),
            }
        ).with_columns(
            pl.col("transaction_id", "user_id", "merchant_id").cast(pl.String),
            pl.from_epoch("timestamp", "ms").dt.replace_time_zone("UTC"),
        )
    )


def complete(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with every column of a transaction."""
    defaults = {"currency": "EUR", "status": "approved"}
    missing = [
        pl.lit(defaults.get(name), dtype).alias(name)
        for name, dtype in TRANSACTION.items()
        if name not in frame.columns
    ]
    return frame.with_columns(missing).select(pl.col(k).cast(t) for k, t in TRANSACTION.items())


if __name__ == "__main__":
    main()
