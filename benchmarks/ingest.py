"""How fast the collector moves transactions from a real Kafka into a real InfluxDB, on one machine.

    python benchmarks/ingest.py [--rows N] [--partitions N] [--runs N] [--telegraf] [--short] [--json]

Against InfluxDB's own ceiling (the same lines for both buckets, prepared beforehand, as many connections)
and, with --telegraf, against Telegraf writing the transactions alone with the same tags; the feed is the
collector's extra work.  Series = partitions x 64 user buckets.  Each is run --runs times in turn, the
figures are medians.  The collector is the real source, service and store in a process of its own.  The
last line with --json is one JSON object.  The collector's memory is managed as in the image.
"""

# ruff: noqa: E402, ARG002 - the servers' folder is put on the path first; stand-ins keep an interface
import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

import polars as pl
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from go_builds import telegraf
from influxdb_server import InfluxdbServer, start_influxdb
from kafka_server import KafkaServer, start_kafka

from collector.cli import SHARED_BATCH
from collector.kafka.opening import open_kafka
from collector.pipeline import CollectorService, NoPositions
from collector.schema import Schema
from txwatch.clock import SystemClock
from txwatch.model import Quarantined
from txwatch.ports import Progress
from txwatch.stores.influx.connection import Access, Connection
from txwatch.stores.influx.layout import FEED, TRANSACTIONS
from txwatch.stores.influx.lines import transaction_lines, user_buckets
from txwatch.stores.influx.packed import feed_lines, pack
from txwatch.stores.influx.refusals import body
from txwatch.stores.influx.setup import initialise
from txwatch.stores.influx.store import InfluxStore
from txwatch.stores.influx.transactions import STORERS
from txwatch.supervise import StopRequest, keep_what_is_there, supervise

CHUNK = 5_000
WARM_CHUNKS = 4
TOPIC = "payments"
PEER = "payments-telegraf"
COUNTRIES, CHANNELS, STATUSES = ("DE", "FR", "US", "CZ"), ("web", "pos", "atm"), ("approved", "declined")
TELEGRAF = """
[agent]
  metric_batch_size = 5000
  metric_buffer_limit = 200000
  flush_interval = "1s"
  omit_hostname = true
  quiet = true
[[inputs.kafka_consumer]]
  brokers = ["{kafka}"]
  topics = ["{topic}"]
  consumer_group = "telegraf"
  offset = "oldest"
  max_undelivered_messages = 20000
  name_override = "transactions"
  data_format = "json"
  tag_keys = ["lap", "partition", "source", "ub"]
  json_time_key = "time"
  json_time_format = "unix_ns"
  json_string_fields = ["transaction_id", "timestamp", "user_id", "merchant_id", "currency", "status",
                        "channel", "country"]
[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "{token}"
  organization = "{org}"
  bucket = "transactions"
"""


def main() -> None:
    options = parse()
    if options.collect:
        collect(*json.loads(options.collect))
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        (Path(folder) / "kafka").mkdir()
        (Path(folder) / "influx").mkdir()
        kafka, influx = start_kafka(Path(folder) / "kafka"), start_influxdb(Path(folder) / "influx")
        running.callback(kafka.close)
        running.callback(influx.close)
        rows = stream(options.rows, options.partitions)
        produce(kafka, rows, options.partitions, peer=options.telegraf)
        runs = [one_run(options, kafka, influx, rows, Path(folder)) for _ in range(options.runs)]
    figures = {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}
    for name, value in figures.items():
        print(f"{name:28} {value:,}")
    if options.json:
        print(json.dumps(figures))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=600_000)
    parser.add_argument("--partitions", type=int, default=160)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--telegraf", action="store_true", help="also measure Telegraf, built once")
    parser.add_argument("--short", action="store_true", help="one run of 150,000, about a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--collect", help=argparse.SUPPRESS)  # the collector's own process
    options = parser.parse_args()
    if options.short:
        options.rows, options.runs = 150_000, 1
    return options


def one_run(options, kafka, influx, rows, folder) -> dict[str, float]:
    ceiling = write_prepared(influx, rows)
    figures = {"ceiling_per_second": ceiling}
    access = fresh(influx)
    arguments = json.dumps([kafka.address, access.url, access.token, access.org, rows.height])
    command = [sys.executable, __file__, f"--collect={arguments}"]
    environment = os.environ | memory_settings()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    own = json.loads(done.stdout.splitlines()[-1])
    figures |= own | {"ceiling_ratio": own["collector_per_second"] / ceiling}
    if options.telegraf:
        peer = run_telegraf(kafka, influx, rows.height, folder)
        figures |= peer
        figures["telegraf_ratio"] = own["collector_per_second"] / peer["telegraf_per_second"]
        figures["telegraf_cpu_ratio"] = own["cpu_us"] / peer["telegraf_cpu_us"]
    return figures


def memory_settings() -> dict[str, str]:
    """Return how the image that production runs manages memory."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    given = [each for line in lines if line.startswith("ENV MALLOC_") for each in line.split()[1:]]
    return dict(each.split("=", 1) for each in given)


def stream(count: int, partitions: int) -> pl.DataFrame:
    """Return transactions as the columns of a feed row, the last hour, partitions in turn."""
    start = datetime.now(UTC) - timedelta(hours=1)
    number = pl.int_range(count, eager=True)
    users = [f"user{each * 7919 % 100_003}" for each in range(count)]
    frame = pl.DataFrame({"partition": (number % partitions).cast(pl.Int32), "user_id": users})
    milliseconds = (number * 3_000_000 // count).cast(pl.Duration("ms"))
    return frame.with_columns(
        source=pl.lit(TOPIC),
        sequence=number // partitions,
        arrival=number + int(start.timestamp() * 1e9),
        timestamp=(pl.lit(start).dt.cast_time_unit("ms") + milliseconds),
        transaction_id=pl.format("tx-{}", number),
        merchant_id=pl.format("shop{}", number % 5_003),
        amount=(number % 9_973) / 100,
        currency=pl.lit("EUR"),
        country=pl.Series([COUNTRIES[each % 4] for each in range(count)]),
        channel=pl.Series([CHANNELS[each % 3] for each in range(count)]),
        status=pl.Series([STATUSES[each % 20 == 0] for each in range(count)]),
        lat=pl.lit(None, pl.Float64),
        lon=pl.lit(None, pl.Float64),
        **{
            name: pl.lit(None, pl.String)
            for name in ("device_id", "ip", "card_id", "merchant_category", "extra")
        },
    )


def produce(kafka: KafkaServer, rows: pl.DataFrame, partitions: int, *, peer: bool) -> None:
    topics = [TOPIC, PEER] if peer else [TOPIC]
    admin = AdminClient({"bootstrap.servers": kafka.address})
    made = admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
    for each in made.values():
        each.result()
    producer = Producer(
        {"bootstrap.servers": kafka.address, "linger.ms": 20, "queue.buffering.max.messages": 10**6}
    )
    names = ("transaction_id", "user_id", "merchant_id", "amount", "currency", "country", "channel", "status")
    buckets = user_buckets(rows["user_id"].to_list())
    for row, bucket in zip(rows.iter_rows(named=True), buckets, strict=True):
        message = {name: row[name] for name in names} | {"timestamp": row["timestamp"].isoformat()}
        producer.produce(TOPIC, json.dumps(message), partition=row["partition"])
        if peer:
            tags = {"lap": "0", "partition": str(row["partition"]), "source": TOPIC, "ub": str(bucket)}
            text = json.dumps(message | tags | {"time": str(row["arrival"])})
            producer.produce(PEER, text, partition=row["partition"])
        producer.poll(0)
    producer.flush()


def fresh(influx: InfluxdbServer) -> Access:
    org = influx.new_org()
    return Access(url=influx.url, org=org, token=initialise(influx.url, influx.token, org).tokens["services"])


def write_prepared(influx: InfluxdbServer, rows: pl.DataFrame) -> float:
    """Return the rows a second that InfluxDB takes in both buckets, over as many connections as ours."""
    chunks = list(rows.iter_slices(CHUNK))
    bodies = {
        TRANSACTIONS: [body(transaction_lines(chunk)) for chunk in chunks],
        FEED: [body(feed_lines(chunk, pack(chunk))) for chunk in chunks],
    }
    connection = Connection(fresh(influx), SystemClock())

    def write(bucket: str, part: slice) -> None:
        for each in bodies[bucket][part]:
            connection.write(bucket, each)

    for bucket in bodies:  # series are made once; nobody's first batch is measured
        write(bucket, slice(WARM_CHUNKS))
    parts = [(TRANSACTIONS, slice(WARM_CHUNKS + n, None, STORERS)) for n in range(STORERS)]
    started = time.perf_counter()
    with ThreadPoolExecutor(STORERS + 1) as pool:
        list(pool.map(lambda part: write(*part), [*parts, (FEED, slice(WARM_CHUNKS, None))]))
    seconds = time.perf_counter() - started
    connection.close()
    return sum(chunk.height for chunk in chunks[WARM_CHUNKS:]) / seconds


class Nothing:
    """The quarantine of a measurement in which nothing is refused."""

    def quarantine(self, records: list[Quarantined]) -> None:
        if records:
            raise ValueError(records[0].rejected.sentence)

    def quarantined(self, **filters) -> list[Quarantined]:
        return []


class Counted:
    """The collector; counts what it handles, and begins to measure after its first messages."""

    name = "collector"

    def __init__(self, service: CollectorService) -> None:
        self.handled = self.first = 0
        self.started = self.cpu = 0.0
        self.health, self.close, self._service = service.health, service.close, service

    def step(self) -> Progress:
        progress = self._service.step()
        self.handled += progress.handled
        if self.handled and not self.first:
            self.first, self.started, self.cpu = self.handled, time.perf_counter(), time.process_time()
        return progress


def collect(address: str, url: str, token: str, org: str, wanted: int) -> None:
    clock, stop = SystemClock(), StopRequest()
    store = InfluxStore(Access(url=url, token=token, org=org), clock)
    source = open_kafka(
        f"kafka://{address}/{TOPIC}?group={uuid.uuid4().hex}",
        Schema(),
        {},
        now=clock.now,
        keep=timedelta(days=30),
        forget=store.forget,
        dead_letters=None,
        until_end=False,
    )
    service = Counted(CollectorService(source, store, Nothing(), NoPositions(), clock, batch=SHARED_BATCH))
    keep_what_is_there()
    supervise([service], clock, stop, observe=lambda: service.handled < wanted or stop.ask("all are stored"))
    seconds, cpu = time.perf_counter() - service.started, time.process_time() - service.cpu
    first, handled = service.first, service.handled
    service.close()
    stored = store.counts()["transactions"]
    store.close()
    if stored != wanted:
        raise ValueError(f"{stored} of {wanted} are stored")
    moved = handled - first
    figures = {
        "collector_per_second": moved / seconds,
        "cpu_us": cpu / moved * 1e6,
        "memory_mb": peak_memory("self"),
    }
    print(json.dumps(figures))


def run_telegraf(kafka: KafkaServer, influx: InfluxdbServer, count: int, folder: Path) -> dict[str, float]:
    access = fresh(influx)
    config = folder / f"telegraf-{access.org}.conf"
    config.write_text(
        TELEGRAF.format(
            kafka=kafka.address, topic=PEER, url=access.url, token=access.token, org=access.org
        ).replace('consumer_group = "telegraf"', f'consumer_group = "{access.org}"')
    )
    connection = Connection(access, SystemClock())
    with subprocess.Popen([str(telegraf()), "--config", str(config)], stderr=subprocess.DEVNULL) as process:
        begun, base, stored = 0.0, 0, 0
        while stored < count:
            time.sleep(0.5)
            (result,) = connection.results(TRANSACTIONS, "SELECT count(amount) FROM transactions")
            stored = sum(int(each["values"][0][1]) for each in result.get("series", ()))
            if stored and not begun:
                begun, base = time.perf_counter(), stored
        seconds = time.perf_counter() - begun
        figures = {
            "telegraf_per_second": (count - base) / seconds,
            "telegraf_cpu_us": cpu_seconds(process.pid) / count * 1e6,
            "telegraf_memory_mb": peak_memory(str(process.pid)),
        }
        process.terminate()
    connection.close()
    return figures


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
