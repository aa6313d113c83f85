"""How long a transaction takes from produce to readable in the feed, through real Kafka and InfluxDB.

    python benchmarks/latency.py [--rates N ...] [--seconds N] [--partitions N] [--short] [--json]

Producer, Kafka, collector, InfluxDB and a reader that looks every 200 ms share one machine.  Each message
carries when it was produced.  `p95_seconds` by rate; `gaps` counts offsets that the reader missed.  The
last line with --json is one JSON object.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import ingest
import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from influxdb_server import start_influxdb
from kafka_server import start_kafka

from txwatch.clock import SystemClock
from txwatch.model import Cursor, Partition
from txwatch.stores.influx.store import InfluxStore

TICK_SECONDS = 0.2
WARM_SECONDS = 5.0


def main() -> None:
    options = parse()
    figures = {"p95_seconds": {}, "gaps": 0}
    for rate in options.rates:
        p95, gaps = measure(rate, options.seconds, options.partitions)
        figures["p95_seconds"][str(rate)] = round(p95, 3)
        figures["gaps"] += gaps
        print(f"{rate:>7,}/s  p95 {p95:.3f} s  gaps {gaps}")
    if options.json:
        print(json.dumps(figures))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", type=int, nargs="+", default=[10_000, 20_000])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--partitions", type=int, default=160)
    parser.add_argument("--short", action="store_true", help="15 s a rate")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.short:
        options.seconds = 15
    return options


def measure(rate: int, seconds: float, partitions: int) -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as running:
        folders = [Path(home) / name for name in ("kafka", "influx")]
        for folder in folders:
            folder.mkdir()
        kafka, influx = start_kafka(folders[0]), start_influxdb(folders[1])
        running.callback(kafka.close)
        running.callback(influx.close)
        admin = AdminClient({"bootstrap.servers": kafka.address})
        admin.create_topics([NewTopic(ingest.TOPIC, partitions, 1)])[ingest.TOPIC].result()
        access, count = ingest.fresh(influx), int(rate * seconds)
        arguments = [kafka.address, access.url, access.token, access.org, str(count)]
        command = [sys.executable, ingest.__file__, "--collect", *arguments]
        collector = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        running.callback(collector.wait)
        running.callback(collector.terminate)
        store = InfluxStore(access, SystemClock())
        running.callback(store.close)
        time.sleep(WARM_SECONDS)
        producer = threading.Thread(target=produce, args=(kafka.address, rate, count, partitions))
        producer.start()
        return read(store, count, count / rate + 120)


def produce(address: str, rate: int, count: int, partitions: int) -> None:
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5, "queue.buffering.max.messages": 10**6})
    begun, sent = time.time(), 0
    while sent < count:
        due = min(count, int((time.time() - begun) * rate))
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        for number in range(sent, due):
            text = (
                f'{{"transaction_id":"{time.time():.6f}","user_id":"user{number * 7919 % 100_003}",'
                f'"merchant_id":"shop{number % 5003}","amount":{number % 997}.5,"currency":"EUR",'
                f'"country":"DE","channel":"web","status":"approved","timestamp":"{now}"}}'
            )
            producer.produce(ingest.TOPIC, text, partition=number % partitions)
        producer.poll(0)
        sent = due
        time.sleep(0.005)
    producer.flush()


def read(store: InfluxStore, count: int, within: float) -> tuple[float, int]:
    """Return the 95th percentile of the latencies, and how many offsets are missing."""
    cursors: dict[Partition, Cursor] = {}
    latencies: list[np.ndarray] = []
    seen, deadline = 0, time.monotonic() + within
    while seen < count and time.monotonic() < deadline:
        began = time.monotonic()
        page = store.feed(cursors, 50_000)
        latencies.append(time.time() - page["transaction_id"].cast(float).to_numpy())
        seen += page.height
        for source, partition, arrival, sequence in page.select(
            "source", "partition", "arrival", "sequence"
        ).rows():
            cursors[Partition(source, partition)] = Cursor(arrival, sequence)
        time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - began)))
    last = sum(cursor.sequence + 1 for cursor in cursors.values())
    return float(np.quantile(np.concatenate(latencies), 0.95)), max(count, last) - seen


if __name__ == "__main__":
    main()
