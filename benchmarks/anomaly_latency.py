"""How long a payment takes from produce to its anomaly being stored, with every detector and rule on.

`benchmarks/latency.py` runs this.  Producer, Kafka, `txwatch collect --no-derive`, InfluxDB and `txwatch
detect` share one machine.  The payments are those of a busy day (`busy_world`), with a midnight in the
middle, at which the forest is fitted anew, and a traffic series window every second or less.  An anomaly is
stored when it stands in the detectors' queue, which is written after InfluxDB has acknowledged it.
"""

import argparse
import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ingest
import numpy as np
from busy_world import FASTER, BusyWorld, rules_with_mark
from confluent_kafka import Producer
from whole_path import servers, start

from txwatch.clock import SystemClock
from txwatch.ledger import Ledger

PARTITIONS = 4
JOINING_SECONDS = 12.0
"""What collector and detectors take to start, and to be given their partitions."""
SETTLING_SECONDS = 5.0
"""After the beginning, which are not counted: everything is new to everybody."""
REFIT_SECONDS = 10.0
"""After the midnight at which the forest is fitted."""
PATIENCE_SECONDS = 60.0
SENDING_SECONDS = 0.01
Figures = dict[str, float]


def measure(rate: int, seconds: float) -> Figures:
    """Return the figures of one rate, each p95 in seconds."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        home = Path(folder)
        kafka, influx = running.enter_context(servers(home, PARTITIONS))
        access = ingest.fresh(influx)
        rules = home / "rules.yaml"
        rules.write_text(rules_with_mark(ingest.ROOT / "rules.yaml"))
        settings = {"TXWATCH_RULES": str(rules), "TXWATCH_PSEUDONYM_KEY": "5e" * 32}
        address = f"kafka://{kafka.address}/{ingest.TOPIC}?live=off"
        processes = {}
        for command in (["collect", "--no-derive", address], ["detect"]):
            processes[command[0]] = start(command, access, home, **settings)
            running.callback(processes[command[0]].wait)
            running.callback(processes[command[0]].terminate)
        time.sleep(JOINING_SECONDS)
        arguments = [str(each) for each in (kafka.address, rate, seconds)]
        began = time.time()
        producer = subprocess.Popen([sys.executable, __file__, *arguments])
        running.callback(producer.wait)
        running.callback(producer.terminate)
        file = home / "detect/ledger.db"
        ledger = Ledger.open(f"sqlite:///{file}", SystemClock())
        running.callback(ledger.close)
        unscored = wait(ledger, int(rate * seconds), seconds + PATIENCE_SECONDS)
        for name, process in processes.items():
            if process.poll() is not None:
                raise SystemExit((home / f"{name}.log").read_text())
        return figures_of(file, began, seconds) | {"unscored": unscored}


def wait(ledger: Ledger, count: int, within: float) -> int:
    """Wait until all are scored; return how many are not."""
    deadline, scored = time.monotonic() + within, 0
    while scored < count and time.monotonic() < deadline:
        time.sleep(1.0)
        scored = sum(each.sequence + 1 for each in ledger.cursors("detectors").values())
    return count - scored


def figures_of(file: Path, began: float, seconds: float) -> Figures:
    """Return p50, p95 and p99 of all anomalies, and p95 of those at the refit and of the others."""
    times = np.array(list(stored(file)))
    produced, latency = times[:, 0] - began, times[:, 1] - times[:, 0]
    counted = produced >= SETTLING_SECONDS
    at_refit = (produced >= seconds / 2 - 1.0) & (produced < seconds / 2 + REFIT_SECONDS)
    figures = {"anomalies": float(counted.sum())}
    for name, quantile in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("largest", 1.0)):
        figures[f"anomaly_{name}_seconds"] = rounded(latency[counted], quantile)
    return figures | {
        "anomaly_p95_at_refit_seconds": rounded(latency[at_refit], 0.95),
        "anomaly_p95_without_refit_seconds": rounded(latency[counted & ~at_refit], 0.95),
    }


def rounded(latency: np.ndarray, quantile: float) -> float:
    return round(float(np.quantile(latency, quantile)), 3)


def stored(file: Path):
    """Yield when each anomaly's payment was produced, and when the anomaly was stored, in seconds."""
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        for stored_at, document in connection.execute("SELECT discovered_at, document FROM discoveries"):
            anomaly = json.loads(document)
            if anomaly["kind"] == "transaction":
                yield int(anomaly["transaction_id"].split("-")[0]) / 1e9, stored_at


def produce(address: str, rate: int, seconds: float) -> None:
    """Send payments at `rate` a second, what was late at once; each id says when it was produced."""
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5, "queue.buffering.max.messages": 10**6})
    world, count = BusyWorld(rate, seconds), int(rate * seconds)
    begun, sent = time.time(), 0
    while sent < count:
        elapsed = time.time() - begun
        due = min(count, int(elapsed * rate))
        for text in world.messages(sent, due, elapsed, str(time.time_ns())):
            producer.produce(ingest.TOPIC, text)
        producer.poll(0)
        sent = due
        time.sleep(SENDING_SECONDS)
    if producer.flush(PATIENCE_SECONDS):
        raise SystemExit("Kafka did not take every message")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Send payments, {FASTER} times as fast as they happen.")
    parser.add_argument("address")
    parser.add_argument("rate", type=int)
    parser.add_argument("seconds", type=float)
    return parser.parse_args()


if __name__ == "__main__":
    given = parse()
    produce(given.address, given.rate, given.seconds)
