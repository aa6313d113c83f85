"""How long a transaction takes from produce to the feed, and to its anomaly, by real Kafka and InfluxDB.

    python benchmarks/latency.py [--rates N ...] [--seconds N] [--partitions N] [--only feed|anomalies]
                                 [--short] [--json]

Producer, Kafka, `txwatch collect --no-derive`, InfluxDB and a reader that looks every 200 ms share one
machine, each in a process of its own, with partitions x 64 series.  Each id carries when its message was
produced.  `p95_seconds` by rate, from the first message on; `gaps` counts offsets that the reader missed,
in all partitions.  `--derive` adds `txwatch derive` (traffic, rows by user).

Then the same again with `txwatch detect` in place of the reader, everything on (`anomaly_latency`):
`anomaly_p95_seconds` by rate is from produce to the anomaly stored, `unscored` counts transactions that no
detector saw, `anomaly_p95_at_refit_seconds` is that of the ten seconds in which the forest is fitted anew.
`highest_rate_below_a_second` is the highest of the rates at which p95 is below a second and all are scored.
The last line with --json is one JSON object.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import anomaly_latency
import ingest
import numpy as np
import polars as pl
from confluent_kafka import Producer
from whole_path import servers, start

from txwatch.clock import SystemClock
from txwatch.model import Cursor, Partition
from txwatch.stores.influx.store import InfluxStore

TICK_SECONDS = 0.2
SENDING_SECONDS = 0.01
PAGE = 50_000
PATIENCE_SECONDS = 120.0
JOINING_SECONDS = 8.0
"""What a collector takes to start and to be given its partitions."""


def main() -> None:
    options = parse()
    if options.produce:
        address, rate, count = options.produce
        produce(address, int(rate), int(count))
        return
    figures = {} if options.only == "anomalies" else feed_figures(options)
    if options.only != "feed":
        figures |= anomaly_figures(options)
    if options.json:
        print(json.dumps(figures))


def feed_figures(options: argparse.Namespace) -> dict[str, object]:
    figures: dict[str, dict[str, float] | int] = {"p50_seconds": {}, "p95_seconds": {}, "p99_seconds": {}}
    figures |= {"largest_seconds": {}, "gaps": 0}
    for rate in options.rates:
        latencies, gaps = measure(rate, options)
        for name, quantile in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("largest", 1.0)):
            figures[f"{name}_seconds"][str(rate)] = round(float(np.quantile(latencies, quantile)), 3)
        figures["gaps"] += gaps
        told = "  ".join(
            f"{name} {value[str(rate)]:.3f}" for name, value in figures.items() if name != "gaps"
        )
        print(f"{rate:>7,}/s  {told}  gaps {gaps}", flush=True)
    return figures


def anomaly_figures(options: argparse.Namespace) -> dict[str, object]:
    by_rate = {}
    for rate in options.rates:
        by_rate[rate] = anomaly_latency.measure(rate, options.seconds)
        told = "  ".join(f"{name} {value:g}" for name, value in by_rate[rate].items())
        print(f"{rate:>7,}/s  {told}", flush=True)
    names = next(iter(by_rate.values()))
    held = [r for r, each in by_rate.items() if each["anomaly_p95_seconds"] < 1.0 and not each["unscored"]]
    figures = {name: {str(rate): each[name] for rate, each in by_rate.items()} for name in names}
    return figures | {"highest_rate_below_a_second": max(held, default=0)}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", type=int, nargs="+", default=[10_000, 20_000])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--partitions", type=int, default=160)
    parser.add_argument("--derive", action="store_true", help="also run txwatch derive")
    parser.add_argument("--only", choices=("feed", "anomalies"))
    parser.add_argument("--short", action="store_true", help="20 s a rate")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--produce", nargs=3, help=argparse.SUPPRESS)  # the producer's own process
    options = parser.parse_args()
    if options.short:
        options.seconds = 20
    return options


def measure(rate: int, options: argparse.Namespace) -> tuple[np.ndarray, int]:
    """Return the seconds that each transaction took, and how many are missing."""
    count = int(rate * options.seconds)
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as running:
        kafka, influx = running.enter_context(servers(Path(home), options.partitions))
        access = ingest.fresh(influx)
        address = f"kafka://{kafka.address}/{ingest.TOPIC}"
        commands = [["collect", "--no-derive", address], *([["derive"]] if options.derive else [])]
        started = [start(command, access, Path(home)) for command in commands]
        for each in started:
            running.callback(each.wait)
            running.callback(each.terminate)
        store = InfluxStore(access, SystemClock())
        running.callback(store.close)
        time.sleep(JOINING_SECONDS)
        arguments = [kafka.address, str(rate), str(count)]
        producer = subprocess.Popen([sys.executable, __file__, "--produce", *arguments])
        running.callback(producer.wait)
        running.callback(producer.terminate)
        found = read(store, count, options.seconds + PATIENCE_SECONDS)
        for command, each in zip(commands, started, strict=True):
            if each.poll() is not None:
                raise SystemExit((Path(home) / f"{command[0]}.log").read_text())
        return found


def produce(address: str, rate: int, count: int) -> None:
    """Send `count` messages at `rate` a second, what was late at once.

    They have no key, so the library fills one partition for a few milliseconds, then another.
    """
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5, "queue.buffering.max.messages": 10**6})
    begun, sent = time.time(), 0
    while sent < count:
        due = min(count, int((time.time() - begun) * rate))
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        for number in range(sent, due):
            text = (
                f'{{"transaction_id":"{time.time_ns()}-{number}","user_id":"user{number * 7919 % 100_003}",'
                f'"merchant_id":"shop{number % 5003}","amount":{number % 997}.5,"currency":"EUR",'
                f'"country":"{ingest.COUNTRIES[number % 4]}","channel":"{ingest.CHANNELS[number % 3]}",'
                f'"status":"{ingest.STATUSES[number % 20 == 0]}","timestamp":"{now}"}}'
            )
            producer.produce(ingest.TOPIC, text)
        producer.poll(0)
        sent = due
        time.sleep(SENDING_SECONDS)
    if producer.flush(PATIENCE_SECONDS):
        raise SystemExit("Kafka did not take every message")


def read(store: InfluxStore, count: int, within: float) -> tuple[np.ndarray, int]:
    """Return the latencies in seconds, and how many offsets were skipped or never came."""
    cursors: dict[Partition, Cursor] = {}
    latencies, seen, deadline = [np.empty(0)], 0, time.monotonic() + within
    while seen < count and time.monotonic() < deadline:
        began = time.monotonic()
        page = store.feed(cursors, PAGE)
        if not page.is_empty():
            produced = page["transaction_id"].str.split("-").list.first().cast(pl.Int64).to_numpy()
            latencies.append((time.time_ns() - produced) / 1e9)
            seen += page.height
            cursors |= last(page)
        time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - began)))
    offsets = sum(cursor.sequence + 1 for cursor in cursors.values())
    return np.concatenate(latencies), max(count, offsets) - seen


def last(page: pl.DataFrame) -> dict[Partition, Cursor]:
    ends = page.group_by("source", "partition").agg(pl.col("arrival", "sequence").last())
    return {Partition(s, p): Cursor(arrival, sequence) for s, p, arrival, sequence in ends.rows()}


if __name__ == "__main__":
    main()
