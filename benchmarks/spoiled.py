"""What spoiled messages cost the good ones beside them, through the real Kafka into the real InfluxDB.

    python benchmarks/spoiled.py [--rate N] [--spoiled-rate N] [--seconds N] [--runs N] [--json]

A stream of good messages at a steady rate, once alone and once with spoiled ones among them (truncated,
wrong types, deep nesting, noise, ten million bytes, ...), in turn.  A rate is that of what `txwatch collect`
stored, from the first message sent to the last one stored or in quarantine; `good_ratio` compares the two,
`bytes_ratio` says how many bytes of spoiled ones came with each byte of good ones.  The last line with
--json is one JSON object.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import ingest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from fuzzed_messages import fuzzed, good_fields
from influxdb_server import start_influxdb
from kafka_server import start_kafka
from launchers import free_ports

PARTITIONS = 4
SPOILED_A_HUGE_ONE = 2_000
STARTING_SECONDS = 8.0
TICK_SECONDS = 0.02
COUNTED = ("txwatch_collector_transactions_total ", "txwatch_collector_quarantined_total ")


def main() -> None:
    options = parse()
    if options.produce:
        address, topic, good, spoiled = options.produce
        produce(address, topic, int(good), int(spoiled), options.seconds)
        return
    rates: dict[int, list[float]] = {0: [], options.spoiled_rate: []}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        for name in ("kafka", "influx"):
            (Path(folder) / name).mkdir()
        kafka, influx = start_kafka(Path(folder) / "kafka"), start_influxdb(Path(folder) / "influx")
        running.callback(kafka.close)
        running.callback(influx.close)
        for run in range(options.runs):
            for spoiled, found in rates.items():
                topic = f"payments-{run}-{spoiled}"
                found.append(
                    measure(kafka.address, topic, ingest.fresh(influx), spoiled, options, Path(folder))
                )
    alone, beside = (statistics.median(found) for found in rates.values())
    figures = {
        "good_per_second_alone": alone,
        "good_per_second_beside": beside,
        "good_ratio": beside / alone,
        "bytes_ratio": bytes_ratio(options),
    }
    for name, value in figures.items():
        print(f"{name:28} {value:,.3f}")
    if options.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--spoiled-rate", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--produce", nargs=4, help=argparse.SUPPRESS)  # the producer's own process
    return parser.parse_args()


def measure(address: str, topic: str, access: ingest.Access, spoiled: int, options, folder: Path) -> float:
    """Return the good messages a second, from the first one sent to the last one handled."""
    made = NewTopic(topic, PARTITIONS, 1, config={"max.message.bytes": "20000000"})
    admin = AdminClient({"bootstrap.servers": address, "log_level": 2})
    admin.create_topics([made])[topic].result()
    (port,) = free_ports(1)
    environment = os.environ | {
        "TXWATCH_HOME": str(folder / topic),
        "TXWATCH_STORE": access.url.replace("http://", "influx://") + f"/{access.org}",
        "TXWATCH_INFLUX_TOKEN": access.token,
        "PYTHONPATH": str(ingest.ROOT),
    }
    source = f"kafka://{address}/{topic}?group={topic}"
    metrics = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "txwatch", "collect", "--no-derive", "--metrics", metrics, source]
    sent = [address, topic, str(int(options.rate * options.seconds)), str(int(spoiled * options.seconds))]
    produced = [sys.executable, __file__, "--seconds", str(options.seconds), "--produce", *sent]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as collector:
        time.sleep(STARTING_SECONDS)
        with subprocess.Popen(produced, stdout=subprocess.PIPE, text=True) as producer:
            producer.stdout.readline()  # it has made its messages and begins
            began = time.perf_counter()
            wait_for(f"http://{metrics}/metrics", int(sent[2]) + int(sent[3]))
            seconds = time.perf_counter() - began
        collector.terminate()
    return int(sent[2]) / seconds


def wait_for(url: str, count: int) -> None:
    handled = 0.0
    while handled < count:
        time.sleep(0.2)
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own http:// address
            lines = answer.read().decode().splitlines()
        handled = sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(COUNTED))


def produce(address: str, topic: str, good: int, spoiled: int, seconds: float) -> None:
    """Send both kinds evenly over so many seconds, what was late at once."""
    odd = list(fuzzed(1, spoiled, datetime.now(UTC), huge=spoiled // SPOILED_A_HUGE_ONE))
    settings = {"bootstrap.servers": address, "message.max.bytes": 20_000_000}
    producer = Producer(settings | {"queue.buffering.max.messages": 10**6, "linger.ms": 5, "log_level": 2})
    print("ready", flush=True)
    began, sent, mixed = time.perf_counter(), 0, 0
    while sent < good:
        due = min(1.0, (time.perf_counter() - began) / seconds)
        now = datetime.now(UTC)
        for number in range(sent, int(good * due)):
            message = json.dumps(good_fields(number, now)).encode()
            producer.produce(topic, message, partition=number % PARTITIONS)
        for number in range(mixed, int(spoiled * due)):
            producer.produce(topic, odd[number], partition=number % PARTITIONS)
        sent, mixed = int(good * due), int(spoiled * due)
        producer.poll(0)
        time.sleep(TICK_SECONDS)
    producer.flush()


def bytes_ratio(options) -> float:
    now, count = datetime.now(UTC), int(options.spoiled_rate * options.seconds)
    spoiled = sum(map(len, fuzzed(1, count, now, huge=count // SPOILED_A_HUGE_ONE)))
    good = sum(len(json.dumps(good_fields(number, now))) for number in range(1_000)) / 1_000
    return spoiled / (good * options.rate * options.seconds)


if __name__ == "__main__":
    main()
