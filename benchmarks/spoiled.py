"""What spoiled messages cost the good ones beside them, through the real Kafka into the real InfluxDB.

    python benchmarks/spoiled.py [--good N] [--spoiled N] [--runs N] [--json]

The same good messages once alone and once with spoiled ones among them (truncated, wrong types, deep
nesting, noise, ten million bytes, ...), in turn, each run by `txwatch collect --once`, whose start, measured
on an empty topic, does not count.  `good_ratio` is the rate of good ones beside spoiled ones to their rate
alone.  The last line with --json is one JSON object.
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
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import ingest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from fuzzed_messages import fuzzed, good_fields
from influxdb_server import start_influxdb
from kafka_server import start_kafka

PARTITIONS = 4
SPOILED_A_HUGE_ONE = 2_000


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        for name in ("kafka", "influx"):
            (Path(folder) / name).mkdir()
        kafka, influx = start_kafka(Path(folder) / "kafka"), start_influxdb(Path(folder) / "influx")
        running.callback(kafka.close)
        running.callback(influx.close)
        seconds: dict[str, list[float]] = {"alone": [], "beside": []}
        produce(kafka.address, "empty", [])
        empty = collect(kafka.address, "empty", ingest.fresh(influx), Path(folder))
        for run in range(options.runs):
            for name, spoiled in (("alone", 0), ("beside", options.spoiled)):
                topic = f"{name}-{run}"
                produce(kafka.address, topic, mixed(options.good, spoiled))
                took = collect(kafka.address, topic, ingest.fresh(influx), Path(folder))
                seconds[name].append(took - empty)
    figures = {
        f"good_per_second_{name}": options.good / statistics.median(each) for name, each in seconds.items()
    }
    figures["good_ratio"] = figures["good_per_second_beside"] / figures["good_per_second_alone"]
    for name, value in figures.items():
        print(f"{name:28} {value:,.3f}")
    if options.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--good", type=int, default=500_000)
    parser.add_argument("--spoiled", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def mixed(good: int, spoiled: int) -> Iterator[bytes]:
    now = datetime.now(UTC)
    odd = fuzzed(1, spoiled, now, huge=spoiled // SPOILED_A_HUGE_ONE)
    every = good // spoiled if spoiled else 0
    for number in range(good):
        yield json.dumps(good_fields(number, now)).encode()
        if every and number % every == 0:
            yield from [message for message in [next(odd, None)] if message is not None]


def produce(address: str, topic: str, messages: Iterable[bytes]) -> None:
    settings = {"bootstrap.servers": address, "log_level": 2}
    admin = AdminClient(settings)
    sizes = {"max.message.bytes": "20000000"}
    admin.create_topics([NewTopic(topic, PARTITIONS, 1, config=sizes)])[topic].result()
    producer = Producer(settings | {"message.max.bytes": 20_000_000, "queue.buffering.max.messages": 10**6})
    for number, message in enumerate(messages):
        producer.produce(topic, message, partition=number % PARTITIONS)
        if number % 1_000 == 0:
            producer.flush()
    producer.flush()


def collect(address: str, topic: str, access: ingest.Access, folder: Path) -> float:
    """Return the seconds that the command takes for a topic."""
    environment = os.environ | {
        "TXWATCH_HOME": str(folder / topic),
        "TXWATCH_STORE": access.url.replace("http://", "influx://") + f"/{access.org}",
        "TXWATCH_INFLUX_TOKEN": access.token,
        "PYTHONPATH": str(ingest.ROOT),
    }
    source = f"kafka://{address}/{topic}?group={topic}"
    command = [sys.executable, "-m", "txwatch", "collect", "--no-derive", "--once", source]
    started = time.perf_counter()
    subprocess.run(command, env=environment, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
