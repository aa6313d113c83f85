"""How good detection is: every measured figure of docs/detection.md and docs/series.md, from one command.

    nice python benchmarks/detection.py --data DIR [--no-series | --ablation] [--json]

DIR holds `handbook/`, `nab/` and `series/` with their scorers.  Default settings throughout, past only; no
label reaches a detector but in the line that says so, seven days late.  Takes a few minutes.

`--ablation` scores both sets anew with each detector switched off in turn, the forest and the calibration of
the others learning without it, and prints what each is worth.  Takes ten minutes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from collector.offline import read_inputs
from collector.schema import Schema
from detectors.backtest.contest import Contender, Outcome, contest
from detectors.configuration import read_configuration
from detectors.engine import Engine
from detectors.labels import LateLabels, read_frauds
from detectors.methods import METHODS
from detectors.settings import DetectionSettings, Feedback
from txwatch.settings import SCORED_TOGETHER

ROOT = Path(__file__).parents[1]
SCHEMA = Schema(rename={"user_id": "customer_id", "merchant_id": "terminal_id"}, defaults={"currency": "EUR"})
DELAY = 7
DAY_MS = 86_400_000
KIND = {method.name: method.entity_kind for method in METHODS}
ENTITY = {"customer": "user", "terminal": "merchant"}


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        data = options.data / "handbook"
        rows = ablation(data, Path(folder)) if options.ablation else transactions(data, Path(folder))
    if not (options.no_series or options.ablation):
        rows |= series(options.data)
    for name, value in rows.items():
        print(f"{name:58} {value}")
    if options.json:
        print(json.dumps(rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with handbook, nab, series")
    parser.add_argument("--no-series", action="store_true", help="transactions only")
    parser.add_argument("--ablation", action="store_true", help="each detector left out in turn")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser.parse_args()


def transactions(data: Path, folder: Path) -> dict[str, Any]:
    """Return the figures of both sets of transactions."""
    outcome = scored(data / "transactions.parquet")
    scores = written(outcome, folder / "handbook.parquet")
    late, book = judged(data, scores, "--view", "late"), judged(data, scores, "--view", "book")
    taught = written(
        scored(data / "transactions.parquet", data / "labels.parquet"), folder / "taught.parquet"
    )
    labelled = judged(data, taught, "--view", "book")
    placed = folder / "plus.parquet"
    with_places(data).write_parquet(placed)
    plus = scored(placed)
    rich = judged(data, written(plus, folder / "plus_scores.parquet"), "--set", "plus")
    return {
        "handbook, AP13": late["AP13"],
        "handbook, R13@50": late["R13@50"],
        "handbook, R13@100": late["R13@100"],
        "handbook, scenario 3 at 100": late["by scenario @100"]["3"],
        "handbook, alerts a day by own threshold, budget 50": alerts_a_day(outcome, 30),
        "book's test week, no labels, AP": book["AP"],
        "book's test week, labels 7 days late, AP": labelled["AP"],
        "book's test week, labels 7 days late, CP@100": labelled["CP@100"],
        "plus, AP": rich["AP"],
        "plus, episodes found at 100 a day": rich["EpR@100"],
        "plus, right alerts that name the right kind of entity": right_kind(plus, data),
    }


def ablation(data: Path, folder: Path) -> dict[str, Any]:
    """Return the figures of both sets without each detector."""
    placed = folder / "plus.parquet"
    with_places(data).write_parquet(placed)
    found: dict[str, Any] = {}
    for name in ("", *(method.name for method in METHODS)):
        late = written(scored(data / "transactions.parquet", off=name), folder / "handbook_scores.parquet")
        plus_scores = written(scored(placed, off=name), folder / "plus_scores.parquet")
        plus = judged(data, plus_scores, "--set", "plus")
        figures = judged(data, late, "--view", "late")
        found[f"without {name or 'nothing'}"] = {
            "handbook AP13": figures["AP13"],
            "handbook R13@50": figures["R13@50"],
            "plus AP": plus["AP"],
            "plus EpR@100": plus["EpR@100"],
        }
        print(name or "nothing", *found[f"without {name or 'nothing'}"].values(), file=sys.stderr, flush=True)
    return found


def scored(path: Path, labels: Path | None = None, off: str = "") -> Outcome:
    """Score a file by the shipped rules file; with labels, each counts from its delay on."""
    configuration = read_configuration(ROOT / "rules.yaml")
    late = None if labels is None else LateLabels(read_frauds(labels), DELAY)
    settings = configuration.detection if labels is None else with_feedback(configuration.detection)
    if off:
        settings = msgspec.structs.replace(settings, off=(*settings.off, off))
    contender = Contender(name=path.stem, engine=Engine(settings, configuration.rulebook()), labels=late)
    frames = (part.rows for part in read_inputs([str(path)], SCHEMA, lambda: datetime.now(UTC)))
    return contest(frames, [contender], SCORED_TOGETHER)[0]


def with_feedback(settings: DetectionSettings) -> DetectionSettings:
    values = {name: getattr(settings, name) for name in DetectionSettings.__struct_fields__}
    return DetectionSettings(**values | {"feedback": Feedback(delay_days=DELAY)})


def written(outcome: Outcome, path: Path) -> Path:
    ids = outcome.transaction_id.cast(pl.Int64)
    pl.DataFrame({"transaction_id": ids, "score": outcome.score}).write_parquet(path)
    return path


def judged(data: Path, scores: Path, *options: str) -> dict[str, Any]:
    """Return what the data's own scorer says."""
    command = [sys.executable, str(data / "evaluate.py"), str(scores), *options]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(said[said.index("{") :])


def with_places(data: Path) -> pl.DataFrame:
    places = pl.read_parquet(data / "plus_terminals.parquet")
    joined = pl.read_parquet(data / "plus_transactions.parquet").join(
        places, on="terminal_id", how="left", maintain_order="left"
    )
    return joined.with_columns(lat=pl.col("y") / 10, lon=pl.col("x") / 10).drop("x", "y")


def alerts_a_day(outcome: Outcome, skip: int) -> float:
    day = outcome.time // DAY_MS
    counted = day >= day.min() + skip
    return round(float(outcome.is_anomaly[counted].sum()) / len(np.unique(day[counted])), 1)


def right_kind(outcome: Outcome, data: Path) -> float:
    """Share of the right alerts, after four weeks, whose largest hypothesis is about the right kind."""
    day = outcome.time // DAY_MS
    rows = np.flatnonzero(outcome.is_anomaly & (day >= day.min() + 28))
    kinds = [KIND[outcome.detectors[k]] for k in outcome.evidence[rows].argmax(axis=1)]
    named = pl.DataFrame(
        {"transaction_id": outcome.transaction_id.gather(rows).cast(pl.Int64), "named": kinds}
    )
    episodes = pl.read_parquet(data / "plus_episodes.parquet").select("episode", "entity_kind")
    truth = pl.read_parquet(data / "plus_labels.parquet").join(episodes, on="episode")
    found = named.join(truth.with_columns(pl.col("transaction_id").cast(pl.Int64)), on="transaction_id")
    right = found["named"] == found["entity_kind"].replace(ENTITY)
    return round(float(right.mean()), 3)


def series(data: Path) -> dict[str, Any]:
    """Return the figures of the series, as their own benchmark prints them."""
    command = [sys.executable, str(ROOT / "benchmarks" / "series.py"), "--data", str(data), "--json"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(said.splitlines()[-1])["figures"]
    return {f"series, {name}": value for name, value in figures.items()}


if __name__ == "__main__":
    main()
