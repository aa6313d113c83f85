"""What is found live is what `txwatch score` finds: real Kafka, real InfluxDB, collector and detector killed.

TXWATCH_LIVE_DATA names a folder with `handbook/` (`transactions.parquet`, `plus_transactions.parquet`, their
labels and `plus_terminals.parquet`); without it only a small simulated set is sent.  The figures are printed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from influx_fixtures import InfluxStores
from kafka_topics import Topics
from sklearn.metrics import average_precision_score

from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import Simulation
from txwatch.ports import AnomalyQuery

DATA = os.environ.get("TXWATCH_LIVE_DATA", "")
PARTITIONS = 4
LATE_SHARE, LATE_SECONDS = 0.05, 60.0
PATIENCE_SECONDS = 120.0
SOON_GIVEN_UP = {"session.timeout.ms": 6_000}
SHIPPED_BUDGET = "budget_per_day: 50 "
COLUMNS = ("transaction_id", "timestamp", "user_id", "merchant_id", "amount", "currency")


class Payments(msgspec.Struct, frozen=True, kw_only=True):
    """Payments in order of time, with what is known of them afterwards."""

    name: str
    rows: pl.DataFrame
    frauds: frozenset[str]
    skip_days: int
    """From this day on they are judged."""
    budget: int
    """Alerts a day: live, only what is an anomaly has a score."""
    slice: int
    """How many are on their way at a time; in the life of these payments, a fraction of a day."""


def simulated() -> Payments:
    settings = SimulationSettings(seed=11, users=400, merchants=80, days=7, frauds_per_day=12)
    days = list(Simulation(settings).days())
    rows = pl.concat([day.transactions for day in days])
    frauds = pl.concat([day.labels for day in days])["transaction_id"]
    kept = [*COLUMNS, "status", "country", "channel"]
    return Payments(
        name="simulated", rows=rows.select(kept), frauds=frozenset(frauds), skip_days=3, budget=200, slice=100
    )


def handbook() -> Payments:
    folder = Path(DATA) / "handbook"
    labels = pl.read_parquet(folder / "labels.parquet")
    traced = labels.filter("is_fraud", pl.col("scenario") != 2)["transaction_id"].cast(pl.String)
    rows = published(pl.read_parquet(folder / "transactions.parquet"))
    without_trace = labels.filter(pl.col("scenario") == 2)["transaction_id"].cast(pl.String)
    assert not set(traced) & set(without_trace)
    return Payments(
        name="handbook", rows=rows, frauds=frozenset(traced), skip_days=30, budget=500, slice=1000
    )


def plus() -> Payments:
    folder = Path(DATA) / "handbook"
    places = pl.read_parquet(folder / "plus_terminals.parquet")
    known = pl.read_parquet(folder / "plus_transactions.parquet").join(
        places, on="terminal_id", how="left", maintain_order="left"
    )
    rows = published(known.with_columns(lat=pl.col("y") / 10, lon=pl.col("x") / 10), "lat", "lon")
    frauds = pl.read_parquet(folder / "plus_labels.parquet")["transaction_id"].cast(pl.String)
    return Payments(name="plus", rows=rows, frauds=frozenset(frauds), skip_days=28, budget=500, slice=1000)


def published(rows: pl.DataFrame, *more: str) -> pl.DataFrame:
    return rows.select(
        pl.col("transaction_id").cast(pl.String),
        "timestamp",
        pl.col("customer_id").cast(pl.String).alias("user_id"),
        pl.col("terminal_id").cast(pl.String).alias("merchant_id"),
        "amount",
        pl.lit("EUR").alias("currency"),
        *more,
    )


def listens(process: int) -> bool:
    """Whether a process handles SIGTERM itself, by Linux's list of signals that it catches."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


class Txwatch:
    """Commands of txwatch on one organisation in InfluxDB; `run` ends by itself, `start` goes on."""

    def __init__(self, stores: InfluxStores, folder: Path, budget: int) -> None:
        shipped = (Path(__file__).parents[2] / "rules.yaml").read_text()
        assert shipped.count(SHIPPED_BUDGET) == 1
        rules = shipped.replace(SHIPPED_BUDGET, f"budget_per_day: {budget}\n  lowest_threshold: 0 ")
        (folder / "rules.yaml").write_text(rules)
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TXWATCH_")},
            "PYTHONPATH": ":".join(sys.path),
            "TXWATCH_RULES": str(folder / "rules.yaml"),
            "TXWATCH_STORE": f"{stores.server.url.replace('http://', 'influx://')}/{stores.org}",
            "TXWATCH_INFLUX_TOKEN": stores.tokens["services"],
            "TXWATCH_PSEUDONYM_KEY": "5e" * 32,
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *command: str) -> None:
        name = command[0]
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(self._words(command), env=self._at_home(name), stderr=log)

    def kill_and_start(self, *command: str) -> None:
        """End it as a power cut would, and start it again."""
        self._running[command[0]].kill()
        self._running.pop(command[0]).wait()
        self.start(*command)

    def end(self, name: str) -> None:
        """Ask it to end, once it listens: before, SIGTERM ends any process as it stands."""
        process, deadline = self._running.pop(name), time.monotonic() + PATIENCE_SECONDS
        while not listens(process.pid):
            assert time.monotonic() < deadline, f"{name} does not start"
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0, (self._folder / f"{name}.log").read_text()[-2000:]

    def run(self, *command: str) -> None:
        done = subprocess.run(
            self._words(command), env=self._at_home(command[0]), stderr=subprocess.PIPE, check=False
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]

    def close(self) -> None:
        for each in self._running.values():
            each.kill()
            each.wait()

    def _words(self, command: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "txwatch", *command]

    def _at_home(self, name: str) -> dict[str, str]:
        return self._environment | {"TXWATCH_HOME": str(self._folder / name)}


class Sending:
    """Payments on their way, a slice at a time: the next one leaves when the last one is stored."""

    def __init__(self, topics: Topics, topic: str) -> None:
        self._producer = Producer({**topics.settings, "linger.ms": 2})
        self._group = Consumer({**topics.settings, "group.id": topic})
        self._topic = topic
        self._sent = [0] * PARTITIONS

    def send(self, rows: pl.DataFrame) -> None:
        """Send rows (one column `partition`, the others the message) and wait until they are stored."""
        for partition, value in zip(rows["partition"], messages(rows.drop("partition")), strict=True):
            self._producer.produce(self._topic, value, partition=partition)
            self._sent[partition] += 1
        assert self._producer.flush(PATIENCE_SECONDS) == 0
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._stored() < sum(self._sent):
            assert time.monotonic() < deadline, f"{self._stored()} of {sum(self._sent)} are stored"
            time.sleep(0.002)

    def close(self) -> None:
        self._group.close()

    def _stored(self) -> int:
        asked = [TopicPartition(self._topic, partition) for partition in range(PARTITIONS)]
        return sum(max(0, each.offset) for each in self._group.committed(asked, timeout=30))


def messages(rows: pl.DataFrame) -> list[bytes]:
    texts = rows.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    return [json.dumps({k: v for k, v in row.items() if v is not None}).encode() for row in texts.to_dicts()]


def in_time(payments: Payments) -> pl.DataFrame:
    """As they happened: a slice to each partition in turn, so that all arrive in order."""
    turn = pl.int_range(pl.len()) // payments.slice % PARTITIONS
    return payments.rows.with_columns(turn.alias("partition"))


def late(payments: Payments) -> pl.DataFrame:
    """One in twenty up to a minute after its time, each user in a partition of its own."""
    chance = np.random.default_rng(5)
    count = payments.rows.height
    delay = np.where(chance.random(count) < LATE_SHARE, chance.random(count) * LATE_SECONDS, 0.0)
    leaves = pl.col("timestamp") + pl.duration(milliseconds=pl.Series((1000 * delay).astype(np.int64)))
    keyed = (pl.col("user_id").hash() % PARTITIONS).cast(pl.Int64)
    return payments.rows.with_columns(leaves.alias("leaves"), keyed.alias("partition")).sort(
        "leaves", maintain_order=True
    ).drop("leaves")  # fmt: skip


SETS = {"simulated": simulated, "handbook": handbook, "plus": plus}
needs_data = pytest.mark.skipif(not DATA, reason="TXWATCH_LIVE_DATA names no folder with these sets")


@pytest.fixture(
    scope="module",
    params=["simulated", pytest.param("handbook", marks=needs_data), pytest.param("plus", marks=needs_data)],
)
def payments(request):
    return SETS[request.param]()


@pytest.fixture
def find(topics, influx_stores, tmp_path):
    """What finds anomalies in a set: live, in the order of sending and through two kills, and offline."""
    influx_stores.initialise()
    started: list[Txwatch] = []

    def run(payments: Payments, sent: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        txwatch = Txwatch(influx_stores, tmp_path, payments.budget)
        started.append(txwatch)
        send_all(topics, txwatch, sent, payments.slice)
        txwatch.run("detect", "--once")
        payments.rows.write_parquet(tmp_path / "payments.parquet")
        txwatch.run("score", str(tmp_path / "payments.parquet"), "--output", str(tmp_path / "scores.parquet"))
        return anomalies(influx_stores), offline(tmp_path / "scores.parquet")

    yield run
    for each in started:
        each.close()


def send_all(topics: Topics, txwatch: Txwatch, sent: pl.DataFrame, slice_size: int) -> None:
    """Send everything; kill the collector after a third, the detector after two thirds."""
    topic = topics.make(partitions=PARTITIONS)
    collect = ("collect", "--no-derive", topics.address(topic, dead="store", live="off", **SOON_GIVEN_UP))
    txwatch.start(*collect)
    txwatch.start("detect")
    slices = list(sent.iter_slices(slice_size))
    sending = Sending(topics, topic)
    for number, rows in enumerate(slices):
        if number == len(slices) // 3:
            txwatch.kill_and_start(*collect)
        if number == 2 * len(slices) // 3:
            txwatch.kill_and_start("detect")
        sending.send(rows)
    sending.close()
    txwatch.end("collect")
    txwatch.end("detect")


def anomalies(stores: InfluxStores) -> pl.DataFrame:
    """What InfluxDB holds of transactions that are anomalies."""
    found = [
        (each.transaction_id, each.score, each.severity.word)
        for each in stores.open().anomalies(AnomalyQuery(limit=None))
        if each.kind == "transaction"
    ]
    schema = {"transaction_id": pl.String, "score": pl.Float64, "severity": pl.String}
    return pl.DataFrame(found, schema=schema, orient="row").sort("transaction_id")


def offline(path: Path) -> pl.DataFrame:
    """Every transaction's score; severity is null for what is no anomaly."""
    return pl.read_parquet(path).with_columns(pl.col("transaction_id").cast(pl.String)).sort("transaction_id")


def average_precision(payments: Payments, scores: pl.DataFrame) -> float:
    """Of the days that are judged; what has no score has the lowest."""
    start = payments.rows["timestamp"].min().replace(hour=0, minute=0, second=0, microsecond=0)
    judged = payments.rows.filter(pl.col("timestamp") >= start + pl.duration(days=payments.skip_days))
    known = judged.join(scores, on="transaction_id", how="left").with_columns(pl.col("score").fill_null(0.0))
    return float(average_precision_score(known["transaction_id"].is_in(payments.frauds), known["score"]))


def test_what_arrives_in_time_gives_exactly_the_same_anomalies(payments, find, capsys):
    """Ids, scores and severities, through four partitions and two kills."""
    live, all_offline = find(payments, in_time(payments))
    found = all_offline.drop_nulls("severity")

    tell(
        capsys,
        f"{payments.name}: {payments.rows.height:,} in time, "
        f"{live.height:,} anomalies live, {found.height:,} offline",
    )
    assert live.height > 0
    assert live.select("transaction_id", "severity").equals(found.select("transaction_id", "severity"))
    np.testing.assert_allclose(live["score"], found["score"], rtol=0, atol=1e-9)


def test_lateness_and_kills_cost_less_than_a_hundredth_of_average_precision(payments, find, capsys):
    """One in twenty is up to a minute late; partitions overtake each other.

    Live, only anomalies have a score, so they are compared with the anomalies of `txwatch score`.
    """
    live, all_offline = find(payments, late(payments))
    found = all_offline.drop_nulls("severity")
    apart = [average_precision(payments, scores) for scores in (live, found, all_offline)]
    both = live.join(found, on="transaction_id").height

    tell(
        capsys,
        f"{payments.name}: {payments.rows.height:,}, one in twenty late; average precision "
        f"{apart[0]:.4f} live, {apart[1]:.4f} of the anomalies offline, {apart[2]:.4f} of all scores; "
        f"{live.height:,} anomalies live, {found.height:,} offline, {both:,} of them the same",
    )
    assert apart[0] == pytest.approx(apart[1], abs=0.01)


def tell(capsys, sentence: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{sentence}\n")
