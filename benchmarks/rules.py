"""How fast rules are: the shipped ones, and 100 rules over 30 declared features.

    python benchmarks/rules.py [--rows N] [--json]

One core, micro-batches of 1,000 rows, entities in a long-tailed distribution.  Only the rule book is
measured: the published columns are made beforehand.  The last line with --json is one JSON object.
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

from detectors.published import PUBLISHED
from detectors.rules.book import RuleBook, compile_rules
from txwatch.rulesfile import RulesDocument, load, parse

BATCH = 1000
SHIPPED = Path(__file__).parents[1] / "rules.yaml"
ENTITIES = {"user_id": 20_000, "merchant_id": 2_000, "card_id": 25_000, "device_id": 22_000, "ip": 15_000}
FEATURES = 30
RULES = 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    frame = stream(options.rows)
    figures = {"rows": options.rows, "batch": BATCH}
    for name, document in (
        ("shipped", load(SHIPPED)),
        ("hundred", parse(many_rules().encode(), "rules.yaml")),
    ):
        figures[name] = measure(document, frame)
        print(name, figures[name])
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    figures["transactions_per_second"] = figures["hundred"]["rows_per_second"]
    print(json.dumps(figures) if options.json else f"peak memory {figures['peak_mb']} MB")


def measure(document: RulesDocument, frame: pl.DataFrame) -> dict[str, float]:
    """Step a fresh rule book through the stream, batch by batch."""
    book = compile_rules(document)
    assert isinstance(book, RuleBook), book
    rows = {
        name: frame[name].to_physical().to_numpy().astype(np.int32) for name in ("user_id", "merchant_id")
    }
    needed = frame.select(pl.col(name).cast(PUBLISHED[name].dtype) for name in sorted(book.columns))
    seconds, hits = [], 0
    for start in range(0, needed.height, BATCH):
        part = needed[start : start + BATCH]
        part_rows = {name: column[start : start + BATCH] for name, column in rows.items()}
        begin = time.perf_counter()
        found = book.step(part, part_rows)
        seconds.append(time.perf_counter() - begin)
        hits += int(found.matrix.sum())
    seconds = seconds[1:]  # the first batch compiles
    return {
        "rules": len(book.rules),
        "microseconds_per_row": round(1e6 * statistics.median(seconds) / BATCH, 3),
        "microseconds_per_row_mean": round(1e6 * sum(seconds) / (len(seconds) * BATCH), 3),
        "rows_per_second": round(len(seconds) * BATCH / sum(seconds)),
        "hits_per_100k": round(1e5 * hits / needed.height, 1),
        "state_mb": round(len(book.dump()) / 1e6, 1),
    }


def stream(rows: int) -> pl.DataFrame:
    """Published columns of a plausible stream: five transactions a second, a twentieth declined."""
    generator = np.random.default_rng(11)
    frame = {"timestamp": pl.Series(1_750_000_000_000 + 200 * np.arange(rows)).cast(pl.Datetime("ms", "UTC"))}
    for name, count in ENTITIES.items():
        ids = (count * generator.random(rows) ** 1.3).astype(np.int64)
        frame[name] = pl.Series([f"{name}-{i}" for i in ids]).cast(pl.Categorical)
    frame["amount"] = np.round(np.exp(generator.normal(3.2, 0.9, rows)), 2)
    frame["amount_base"] = frame["amount"]
    for name, words in WORDS.items():
        frame[name] = generator.choice(words, rows)
    frame["hour"] = (np.arange(rows) // 18_000) % 24
    for name, (centre, spread) in SPREADS.items():
        frame[name] = np.round(np.exp(generator.normal(centre, spread, rows)), 3)
    for name in ("country_is_new", "merchant_is_new", "device_is_new"):
        frame[name] = generator.random(rows) < 0.03
    made = pl.DataFrame(frame)
    missing = [pl.lit(None, c.dtype).alias(n) for n, c in PUBLISHED.items() if n not in made.columns]
    return made.with_columns(missing)


WORDS = {
    "status": ["approved"] * 19 + ["declined"],
    "channel": ["web", "pos", "app"],
    "country": ["DE", "FR", "IT", "ES"],
    "currency": ["EUR"],
}
SPREADS = {
    "user_count": (3.0, 0.5),
    "user_amount_median": (3.2, 0.3),
    "user_amount_ratio": (0.0, 0.7),
    "user_amount_z": (0.0, 1.0),
    "user_count_20m": (0.3, 0.3),
    "user_count_1d": (1.0, 0.5),
    "user_sum_1d": (4.0, 0.6),
    "user_seconds_since_last": (8.0, 2.0),
    "merchant_count": (5.0, 1.0),
    "merchant_count_1h": (2.0, 1.0),
    "merchant_declined_share_1h": (-3.0, 0.5),
    "distance_km": (2.0, 1.0),
    "travel_kmh": (2.0, 1.0),
}
"""Centre and spread, in logarithms, of made-up built-ins."""

KINDS = (
    "count: '*'",
    "count: status = 'declined'",
    "sum: amount_base",
    "mean: amount_base",
    "max: amount",
    "distinct: merchant_id",
    "distinct: country",
    "time_since: amount > 100",
)
BY = ("user_id", "merchant_id", "card_id", "device_id", "ip", "[user_id, merchant_id]")
WINDOWS = ("1m", "10m", "1h", "6h", "1d", "7d")
CONDITIONS = (
    "{f} > 30 AND amount > 3 * user_amount_median",
    "{f} > 25 AND status = 'declined' AND country IN ('DE', 'FR')",
    "{f} BETWEEN 40 AND 60 AND NOT country_is_new",
    "({f} > 50 OR {g} > 60) AND user_amount_ratio > 2",
    "coalesce({f}, 0) / greatest({g}, 1) > 20 AND device_is_new",
)


def many_rules() -> str:
    """A file with FEATURES declared features of all kinds and RULES rules over them."""
    features = [
        f"  f{i}: {{{KINDS[i % len(KINDS)]}, by: {BY[i % len(BY)]}, window: {WINDOWS[i // 2 % 6]}}}"
        for i in range(FEATURES)
    ]
    rules = [f'  - {{id: rule-{i}, severity: low, when: "{condition(i)}"}}' for i in range(RULES)]
    return "\n".join(["version: 1", "features:", *features, "rules:", *rules]) + "\n"


def condition(i: int) -> str:
    """Return the condition of rule `i`: each reads one or two features and a few columns."""
    return f"{CONDITIONS[i % len(CONDITIONS)]} AND amount > {i % 17}".format(
        f=f"f{i % FEATURES}", g=f"f{(i * 7 + 3) % FEATURES}"
    )


if __name__ == "__main__":
    main()
