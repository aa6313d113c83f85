"""Series: how fast, and how good.

    python benchmarks/series.py [--data FOLDER] [--ablation] [--json]

Prints rows a second of scoring one series (coarse rows, and counts a minute) and of watching traffic.
With --data, a folder that holds `nab/` and `series/` with their scorers, the figures of both at the
recommended thresholds; with --ablation, the figures with each method left out in turn.
With --json the last line is one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detectors.series.offline import score_frame, score_series
from detectors.series.profile import Profile
from detectors.series.scorer import ScorerSettings, SeriesScorer, methods
from detectors.series.thresholds import FINE_SCORE_THRESHOLD, SCORE_THRESHOLD
from detectors.series.traffic import TrafficSettings, TrafficWatch
from txwatch import columns

ROWS = 100_000
REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = throughput()
    if options.data:
        result["figures"] = figures(options.data, ())
    if options.data and options.ablation:
        names = [method.name for method in methods()] + [Profile.name]
        result["without"] = {name: figures(options.data, (name,)) for name in names}
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))


def throughput() -> dict[str, float]:
    """Median CPU rates, after one run that compiles."""
    draw = np.random.default_rng(1)
    counts = draw.poisson(20, ROWS).astype(float)
    feed = payments(draw)
    return {
        "coarse_rows_per_second": rate(lambda: score(counts + 0.5, 300.0), ROWS),
        "minute_rows_per_second": rate(lambda: score(counts, 60.0), ROWS),
        "traffic_rows_per_second": rate(lambda: watch(feed), feed.height),
    }


def score(values: Any, seconds: float) -> None:
    times = np.arange(len(values)) * round(seconds * 1000)
    SeriesScorer(ScorerSettings(interval_seconds=seconds)).step(times, values)


def watch(feed: pl.DataFrame) -> None:
    """Micro-batches of 1,000, one-minute windows, 10,000 payments a minute."""
    traffic = TrafficWatch(TrafficSettings(choice_hours=0.1))
    for begin in range(0, feed.height, 1000):
        traffic.step(feed[begin : begin + 1000])


def payments(draw: np.random.Generator) -> pl.DataFrame:
    rows = 300_000
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series(1_741_564_800_000 + np.arange(rows) * 6).cast(columns.TIME),
            "merchant_id": np.char.add("m", (draw.pareto(1, rows) % 1000).astype(int).astype(str)),
            "amount": np.round(draw.lognormal(3, 1, rows), 2),
            "status": np.where(draw.random(rows) < 0.05, "declined", "approved"),
            "channel": np.where(draw.random(rows) < 0.7, "web", "pos"),
            "country": np.where(draw.random(rows) < 0.7, "DE", "FR"),
        }
    )
    missing = [pl.lit(None).alias(name) for name in columns.FEED if name not in frame.columns]
    return frame.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in columns.FEED.items())


def rate(work: Any, rows: int) -> float:
    work()
    seconds = []
    for _ in range(REPEATS):
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return round(rows / float(np.median(seconds)))


def figures(data: Path, off: tuple[str, ...]) -> dict[str, Any]:
    """Score both sets and let the scorers that lie beside them judge."""
    settings = ScorerSettings(off=off)
    with tempfile.TemporaryDirectory() as folder:
        scores = Path(folder)
        for name in json.loads((data / "nab" / "combined_windows.json").read_text()):
            (scores / name).parent.mkdir(parents=True, exist_ok=True)
            score_series(data / "nab" / name, scores / name, settings)
        wide = scores / "series.parquet"
        score_frame(pl.read_parquet(data / "series" / "series.parquet"), settings).write_parquet(wide)
        nab = judged(data / "nab" / "nab_score.py", scores, SCORE_THRESHOLD)
        seeded = judged(data / "series" / "evaluate.py", wide, FINE_SCORE_THRESHOLD)
    return {"nab": nab, "seeded": seeded}


def judged(scorer: Path, scores: Path, threshold: float) -> dict[str, Any]:
    command = [sys.executable, str(scorer), str(scores), "--threshold", str(threshold)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(text.replace("'", '"'))
    return found


if __name__ == "__main__":
    main()
