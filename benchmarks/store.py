"""How fast a store is: appending, reading the feed, and answering queries on a million transactions.

    python benchmarks/store.py [--rows N] [--batch N] [--partitions N] [--folder PATH] [--json]

The embedded store in one file, one core, every commit synced to the disk.  Entities have a long-tailed
distribution, events a second of jitter.  Rates by the clock hang on who else uses the machine, rates by the
core less so.  The last line with --json is one JSON object.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import polars as pl

from txwatch.clock import SystemClock
from txwatch.columns import POSITION, TRANSACTION
from txwatch.model import Anomaly, AnomalyType, Cursor, Partition, Reason, Severity, transaction_anomaly_id
from txwatch.ports import AnomalyQuery, RetentionPolicy, TransactionQuery
from txwatch.stores.sqlite import SqliteStore

START = datetime(2026, 3, 2, tzinfo=UTC)
SPAN = timedelta(days=30)
USERS, MERCHANTS = 100_000, 10_000
ANOMALIES_PER_ROW = 0.02
REPEATS = 200


def main() -> None:
    """Measure and print."""
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "store.db"
        store = SqliteStore(path, SystemClock(), writer=True)
        frame = stream(options.rows, options.partitions)
        figures: dict[str, object] = {"rows": options.rows, "batch": options.batch}
        figures |= appending(store, frame, options.batch)
        figures["bytes_per_row"] = round(path.stat().st_size / options.rows)
        figures |= reading(store, options.batch)
        figures["anomalies_per_second"] = anomalies(store, frame, options.batch)
        figures["query_milliseconds"] = queries(store, frame)
        figures |= expiring(store)
        store.close()
    for name, value in figures.items():
        for kind, timing in value.items() if isinstance(value, dict) else [("", value)]:
            print(f"{name:28} {kind:26} {timing}")
    if options.json:
        print(json.dumps(figures))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--folder", help="where the file is made; decides which disk is measured")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def stream(count: int, partitions: int) -> pl.DataFrame:
    """Return transactions of a month in the order in which partitions of a topic interleave."""
    random = np.random.default_rng(7)
    number = np.arange(count)
    users, merchants = ((limit * random.random(count) ** 3).astype(np.int64) for limit in (USERS, MERCHANTS))
    step = SPAN.total_seconds() * 1000 / count
    times = START.timestamp() * 1000 + number * step + random.integers(0, 1000, count)
    columns = {
        "source": pl.repeat("kafka:payments", count, eager=True),
        "partition": number // 500 % partitions,
        "sequence": number,
        "transaction_id": pl.Series(number).cast(pl.String).str.zfill(12),
        "timestamp": pl.Series(times.astype(np.int64)).cast(TRANSACTION["timestamp"]),
        "user_id": "user-" + pl.Series(users).cast(pl.String),
        "merchant_id": "merchant-" + pl.Series(merchants).cast(pl.String),
        "amount": np.round(random.lognormal(3, 1, count), 2),
        "currency": pl.repeat("EUR", count, eager=True),
        "status": pl.repeat("approved", count, eager=True),
        "channel": pl.Series(["web", "pos", "app"]).gather(number % 3),
        "country": pl.Series(["DE", "FR", "PL", "IT"]).gather(users % 4),
        "card_id": "card-" + pl.Series(users).cast(pl.String),
        "device_id": "device-" + pl.Series(users).cast(pl.String),
        "ip": pl.Series(users).cast(pl.String) + ".example",
    }
    wanted = {**POSITION, **TRANSACTION}
    missing = {name: pl.repeat(None, count, eager=True) for name in wanted if name not in columns}
    return pl.DataFrame({**columns, **missing}).select(list(wanted)).cast(wanted)


class Watch:
    """Adds up the time of what is measured: by the clock, and by this process's use of a core."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.cpu = 0.0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        begin, cpu = time.perf_counter(), time.process_time()
        yield
        self.steps.append(time.perf_counter() - begin)
        self.cpu += time.process_time() - cpu

    def rates(self, name: str, rows: int) -> dict[str, object]:
        return {
            f"{name}_rows_per_second": round(rows / sum(self.steps)),
            f"{name}_rows_per_cpu_second": round(rows / self.cpu),
        }


def appending(store: SqliteStore, frame: pl.DataFrame, batch: int) -> dict[str, object]:
    """Append everything; `slowdown` compares the last quarter's median batch with the first's."""
    watch = Watch()
    for part in frame.iter_slices(batch):
        with watch():
            store.append(part)
    quarter = max(1, len(watch.steps) // 4)
    first, last = (statistics.median(part) for part in (watch.steps[:quarter], watch.steps[-quarter:]))
    return watch.rates("append", frame.height) | {
        "append_slowdown": round(last / first, 2),
        "append_batch_milliseconds": spread(watch.steps),
    }


def reading(store: SqliteStore, batch: int) -> dict[str, object]:
    """Read the whole feed by cursors, in steps of a batch."""
    cursors: dict[Partition, Cursor] = {}
    watch, rows = Watch(), 0
    while True:
        with watch():
            part = store.feed(cursors, batch)
        if part.is_empty():
            return watch.rates("feed", rows)
        rows += part.height
        cursors |= ends(part)


def ends(part: pl.DataFrame) -> dict[Partition, Cursor]:
    last = part.group_by("source", "partition").agg(pl.col("arrival", "sequence").last())
    return {Partition(s, p): Cursor(arrival, sequence) for s, p, arrival, sequence in last.iter_rows()}


def anomalies(store: SqliteStore, frame: pl.DataFrame, batch: int) -> int:
    """Write one anomaly for every fiftieth transaction."""
    found = [anomaly(row) for row in frame.gather_every(round(1 / ANOMALIES_PER_ROW)).iter_rows(named=True)]
    begin = time.perf_counter()
    for start in range(0, len(found), batch):
        store.put_anomalies(found[start : start + batch])
    return round(len(found) / (time.perf_counter() - begin))


def anomaly(row: dict[str, object]) -> Anomaly:
    reason = Reason(
        code="amount-robust-z",
        sentence="the amount 512.00 EUR is 7.3 times what this user usually spends (70.10 EUR, 41 payments)",
        detector="amount",
        type=AnomalyType.AMOUNT,
        entity_kind="user",
        observed=512.0,
        expected=70.1,
        baseline_size=41,
    )
    number = int(row["sequence"])
    return Anomaly(
        anomaly_id=transaction_anomaly_id(row["source"], row["partition"], number),
        kind="transaction",
        type=AnomalyType.AMOUNT,
        timestamp=row["timestamp"],
        detected_at=row["timestamp"],
        severity=Severity(1 + number // 50 % 4),
        score=80.0,
        reasons=(reason, reason),
        entity_kind="user",
        entity_id=row["user_id"],
        sequence=number,
        **{name: row[name] for name in ("transaction_id", "user_id", "merchant_id", "amount", "currency")},
        rules=("rare-rule",) if number // 50 % 1000 == 7 else ("high-amount-new-country",),
    )


def queries(store: SqliteStore, frame: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Ask each kind of question many times; milliseconds at the median and the 95th percentile."""
    asked = frame.sample(REPEATS, seed=3)
    flagged = frame.gather_every(round(1 / ANOMALIES_PER_ROW)).sample(REPEATS, seed=3, with_replacement=True)
    return {
        name: timing(ask)
        for name, ask in {
            "one_id": transactions(store, asked, "transaction_id"),
            "one_user": transactions(store, asked, "user_id"),
            "one_user_newest_20": transactions(store, asked, "user_id", limit=20),
            "one_merchant_newest_100": transactions(store, asked, "merchant_id", limit=100),
            "one_hour": hours(store, asked),
            "newest_anomalies": anomaly_queries(store, REPEATS * [{}]),
            "critical_anomalies": anomaly_queries(store, REPEATS * [{"min_severity": Severity.CRITICAL}]),
            "anomalies_of_a_rare_rule": anomaly_queries(store, 20 * [{"rule": "rare-rule", "limit": None}]),
            "anomaly_of_a_transaction": anomaly_queries(store, flagged.select("transaction_id").to_dicts()),
            "anomalies_of_a_user": anomaly_queries(store, flagged.select("user_id").to_dicts()),
            "counts": (store.counts for _ in range(10)),
        }.items()
    }


Ask = Callable[[], object]


def transactions(
    store: SqliteStore, rows: pl.DataFrame, name: str, limit: int | None = None
) -> Iterator[Ask]:
    for value in rows[name]:
        query = TransactionQuery(**{name: value}, limit=limit)
        yield lambda query=query: store.transactions(query)


def hours(store: SqliteStore, rows: pl.DataFrame) -> Iterator[Ask]:
    for since in rows["timestamp"]:
        query = TransactionQuery(since=since, until=since + timedelta(hours=1))
        yield lambda query=query: store.transactions(query)


def anomaly_queries(store: SqliteStore, asked: list[dict[str, object]]) -> Iterator[Ask]:
    for conditions in asked:
        query = AnomalyQuery(**conditions)
        yield lambda query=query: store.anomalies(query)


def timing(asks: Iterator[Ask]) -> dict[str, float]:
    watch = Watch()
    for ask in asks:
        with watch():
            ask()
    return spread(watch.steps)


def spread(seconds: list[float]) -> dict[str, float]:
    low, high = np.percentile(seconds, [50, 95])
    return {"p50": round(1000 * float(low), 2), "p95": round(1000 * float(high), 2)}


def expiring(store: SqliteStore) -> dict[str, object]:
    """Delete the older tenth."""
    policy = RetentionPolicy(transactions=SPAN * 0.9)
    begin = time.perf_counter()
    gone = store.expire(policy, START + SPAN)["transactions"]
    return {"expired_rows_per_second": round(gone / (time.perf_counter() - begin))}


if __name__ == "__main__":
    main()
