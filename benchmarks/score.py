"""How fast `txwatch score` is, and with how much memory.

    python benchmarks/score.py [--data DIR] [--transactions N] [--no-rules] [--json]

Reads a Parquet file, scores it in micro-batches of 5,000 with every detector and every shipped rule on,
and writes Parquet, as `txwatch score` does: the `transactions.parquet` in DIR (columns customer_id,
terminal_id, amount, timestamp, transaction_id), or seeded transactions of its own.  The last line with
--json is one JSON object.  `*_cpu` figures count processor time, which other programs on the machine do
not disturb; on an idle machine both agree.

Then others' detectors on payments of the same file, in the same run (`score_others`):
`others_per_second_cpu`, and how many times as fast txwatch is, all of its work against their part of it.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import polars as pl
from score_others import compare

from collector.offline import read_inputs
from collector.schema import Schema
from detectors.configuration import read_configuration
from detectors.engine import Engine
from detectors.offline import Parquet
from detectors.settings import DetectionSettings
from detectors.warm import warm_up
from txwatch.columns import TRANSACTION
from txwatch.settings import SCORED_TOGETHER

MICRO_BATCH = SCORED_TOGETHER
OTHERS_ROWS = 100_000
ROOT = Path(__file__).parents[1]
HANDBOOK = Schema(
    rename={"user_id": "customer_id", "merchant_id": "terminal_id"}, defaults={"currency": "EUR"}
)


def main() -> None:
    arguments = parse()
    started = time.perf_counter()
    warm_up()
    compile_seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        if arguments.data:
            path, schema = arguments.data / "transactions.parquet", HANDBOOK
        else:
            path, schema = Path(folder) / "transactions.parquet", Schema()
            made_up(arguments.transactions).drop("extra").write_parquet(path)
        measured = run(path, schema, Path(folder) / "scores.parquet", rules=not arguments.no_rules)
        figures = {"compile_seconds": round(compile_seconds, 1), **measured}
        figures |= beside_others(path, schema, measured["transactions_per_second_cpu"])
    if not arguments.data:
        figures |= large_state()
    for name, value in figures.items():
        print(f"{name:28} {value}")
    if arguments.json:
        print(json.dumps(figures))


def beside_others(path: Path, schema: Schema, ours: float) -> dict[str, object]:
    """Return what others' detectors manage of the same file, and how many times as fast this is."""
    rows = next(iter(read_inputs([str(path)], schema, now))).rows
    rates = compare(rows.head(OTHERS_ROWS))
    times = {name: round(ours / rate, 1) for name, rate in rates.items() if isinstance(rate, int)}
    return {"others_per_second_cpu": rates, "times_as_fast": times}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with transactions.parquet")
    parser.add_argument("--transactions", type=int, default=1_000_000, help="how many to make up")
    parser.add_argument("--no-rules", action="store_true", help="leave the rules out")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser.parse_args()


def run(path: Path, schema: Schema, output: Path, *, rules: bool) -> dict[str, object]:
    """Score the whole file; return the figures."""
    configuration = read_configuration(ROOT / "rules.yaml")
    engine = Engine(configuration.detection, configuration.rulebook() if rules else None)
    stages = Stages(engine)
    days, costs, rows = [], [], 0
    began = time.perf_counter(), time.process_time()
    with Parquet(output) as writer:
        stages.watch("write", writer, "write")
        stages.watch("write", writer, "_finish")
        frames = stages.timed_frames(part.rows for part in read_inputs([str(path)], schema, now))
        for frame in frames:
            for batch in frame.iter_slices(MICRO_BATCH):
                before = time.process_time()
                writer.write(batch, engine.step(batch))
                costs.append(time.process_time() - before)
                days.append(batch["timestamp"][0].toordinal())
            rows += frame.height
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    return {
        "transactions": rows,
        "transactions_per_second": round(rows / wall),
        "transactions_per_second_cpu": round(rows / cpu),
        "stage_shares": stages.shares(cpu),
        "flatness": flatness(np.array(days), costs),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "state_mb": round(engine.nbytes() / 2**20, 1),
        "snapshot_mb": round(len(engine.dump()) / 2**20, 1),
    }


def now() -> datetime:
    return datetime.now(UTC)


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
        ("calibrate", "_joining.calibrated"),
        ("join", "_joining.joined"),
        ("threshold", "_grading.thresholds"),
    )

    def __init__(self, engine: Engine) -> None:
        self.seconds: dict[str, float] = {}
        for label, path in self.PARTS:
            part, name = path.split(".")
            self.watch(label, getattr(engine, part), name)
        if engine._rulebook is not None:  # noqa: SLF001 - a benchmark looks inside
            self.watch("rules", engine._rulebook, "step")  # noqa: SLF001 - same
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

    def timed_frames(self, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield the frames, counting the time that reading them takes."""
        while True:
            started = time.process_time()
            frame = next(frames, None)
            self.seconds["read"] = self.seconds.get("read", 0.0) + time.process_time() - started
            if frame is None:
                return
            yield frame

    def shares(self, total: float) -> dict[str, float]:
        shares = {label: round(seconds / total, 3) for label, seconds in self.seconds.items()}
        return {**shares, "rest": round(1.0 - sum(shares.values()), 3)}


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
