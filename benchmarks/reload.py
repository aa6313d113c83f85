"""What an edit of rules.yaml costs while transactions run through: do they wait, and are all scored?

    python benchmarks/reload.py [--rate N] [--seconds N] [--users N] [--every N] [--json]

A process of its own writes `--rate` transactions a second into an embedded store; the detector of this
process scores them, with every detector and the shipped rules on, while the severity of one rule is edited
every `--every` seconds.  A transaction's latency is from its arrival to when its batch was scored and
committed.  `p95_seconds` is that of all, `p95_at_edits_seconds` that of those that arrived from the edit to
a second after the change.  `unscored` counts what was sent and not scored.  The last line with --json is
one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from detectors.cli import warm_up
from detectors.recalling import recalled
from detectors.reloading import RulesService
from detectors.service import DetectorService
from txwatch.clock import SystemClock
from txwatch.columns import POSITION, TRANSACTION
from txwatch.ledger import Ledger
from txwatch.stores import open_store

SHIPPED = (Path(__file__).parents[1] / "rules.yaml").read_text()
TICK_SECONDS = 0.1
IDLE_SECONDS = 0.02
SETTLING_SECONDS = 5.0


def main() -> None:
    options = parse()
    if options.write:
        write(options.write, options.rate, options.seconds, options.users)
        return
    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options)
    for name, value in figures.items():
        print(f"{name:24} {value}")
    if options.json:
        print(json.dumps(figures))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--every", type=float, default=8.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


class Watched:
    """A store that remembers when the rows arrived that it handed out last."""

    def __init__(self, store) -> None:
        self._store = store
        self.arrivals = np.zeros(0)

    def feed(self, after, limit):
        rows = self._store.feed(after, limit)
        self.arrivals = rows["arrival"].to_numpy() / 1e9
        return rows

    def __getattr__(self, name):
        return getattr(self._store, name)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Run writer and detector; return the figures."""
    rules = folder / "rules.yaml"
    rules.write_text(SHIPPED)
    clock = SystemClock()
    writer = start_writer(folder, options)
    store = Watched(open_store(f"sqlite:///{folder / 'store.db'}", clock, writer=False))
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", clock)
    new = recalled(ledger, rules, require_apply=False)
    aside = ThreadPoolExecutor(1)
    detector = DetectorService(store, ledger, new.detection, clock, at=new.at, aside=aside)
    service = RulesService(rules, detector, ledger, clock, ThreadPoolExecutor(1))
    edits, seen = follow(writer, detector, service, store, rules, options.every)
    changes = service.health().figures["changes_total"]
    scored = detector.health().figures["transactions_total"]
    for each in (service, detector, ledger, store):
        each.close()
    return figures_of(options, edits, seen, changes, scored)


def start_writer(folder: Path, options: argparse.Namespace) -> subprocess.Popen:
    arguments = [sys.executable, __file__, "--write", str(folder / "store.db")]
    for name in ("rate", "seconds", "users"):
        arguments += [f"--{name}", str(getattr(options, name))]
    writer = subprocess.Popen(arguments)
    while not (folder / "store.db").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    return writer


def follow(writer, detector, service, store, rules, every):
    """Step until the writer has ended and all is scored; return (edited, changed) times and latencies."""
    seen: list[np.ndarray] = []
    edits: list[tuple[float, float]] = []
    edited, changes, due = 0.0, 0.0, time.time() + SETTLING_SECONDS
    idle = False
    while not idle or writer.poll() is None:
        service.step()
        if service.health().figures["changes_total"] > changes:
            changes += 1
            edits.append((edited, time.time()))
        idle = not detector.step().handled
        if not idle:
            seen.append(np.column_stack([store.arrivals, time.time() - store.arrivals]))
        else:
            time.sleep(IDLE_SECONDS)
        if time.time() > due and writer.poll() is None:
            edited, due = time.time(), time.time() + every
            odd = len(edits) % 2 == 0
            rules.write_text(SHIPPED.replace("severity: high", "severity: critical", 1) if odd else SHIPPED)
    return edits, np.concatenate(seen)


def figures_of(options, edits, seen, changes, scored) -> dict[str, float]:
    arrived, latency = seen[:, 0], seen[:, 1]
    at_edits = np.zeros(len(arrived), dtype=bool)
    for edited, changed in edits:
        at_edits |= (arrived >= edited) & (arrived <= changed + 1.0)
    sent = options.rate * options.seconds
    return {
        "sent": sent,
        "unscored": sent - int(scored),
        "changes": int(changes),
        "edit_to_change_seconds": round(float(np.median([b - a for a, b in edits])), 2),
        "p50_seconds": round(float(np.quantile(latency, 0.5)), 3),
        "p95_seconds": round(float(np.quantile(latency, 0.95)), 3),
        "p95_at_edits_seconds": round(float(np.quantile(latency[at_edits], 0.95)), 3),
        "largest_seconds": round(float(latency.max()), 3),
    }


def write(path: Path, rate: int, seconds: int, users: int) -> None:
    """Write transactions as happening now, a tick's worth at a time."""
    store = open_store(f"sqlite:///{path}", SystemClock(), writer=True)
    chance = np.random.default_rng(7)
    each = int(rate * TICK_SECONDS)
    started = time.time()
    for tick in range(int(seconds / TICK_SECONDS)):
        store.append(transactions(chance, tick * each, each, users))
        time.sleep(max(0.0, started + (tick + 1) * TICK_SECONDS - time.time()))
    store.close()


def transactions(chance, first: int, count: int, users: int) -> pl.DataFrame:
    """Payments of now, by users who pay what they usually pay."""
    user = chance.integers(users, size=count)
    now = datetime.now(UTC)
    values = {
        "source": ["bench"] * count,
        "partition": [0] * count,
        "sequence": range(first, first + count),
        "transaction_id": [f"t{first + i}" for i in range(count)],
        "timestamp": [now + timedelta(milliseconds=i * 1000 * TICK_SECONDS / count) for i in range(count)],
        "user_id": [f"u{each}" for each in user],
        "merchant_id": [f"m{each}" for each in chance.integers(users // 10, size=count)],
        "amount": np.round(np.exp(3 + user % 5 / 3 + chance.normal(0, 0.5, count)), 2),
        "currency": ["EUR"] * count,
        "status": ["approved"] * count,
    }
    return pl.DataFrame(values, schema_overrides=POSITION | TRANSACTION).select(
        *POSITION, *(pl.col(n) if n in values else pl.lit(None, t).alias(n) for n, t in TRANSACTION.items())
    )


if __name__ == "__main__":
    main()
