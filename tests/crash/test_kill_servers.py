"""Whatever dies under load, every message is stored once or in quarantine: real Kafka, real InfluxDB.

TXWATCH_KILL_ROUNDS says how many rounds there are, TXWATCH_KILL_SEED with which seed they begin; a round
that fails is repeated by its own seed.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import urllib3
from cached_build import ServerUnavailableError
from confluent_kafka import Producer
from flaky_proxy import LOST, FlakyProxy, in_front_of
from influxdb_server import InfluxdbServer, start_influxdb
from kafka_server import KafkaServer, start_kafka
from kafka_topics import Topics, message

from txwatch.stores.influx.setup import initialise

ROUNDS = int(os.environ.get("TXWATCH_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("TXWATCH_KILL_SEED", "1"))
MESSAGES = 4_000
PARTITIONS = 4
UNDER_LOAD_SECONDS = 3.0
PATIENCE_SECONDS = 120.0
FIRST, SECOND = "first", "second"


class Servers:
    """A Kafka and an InfluxDB that only these rounds use, and a proxy in front of the latter."""

    def __init__(self, kafka: KafkaServer, influxdb: InfluxdbServer, proxy: FlakyProxy) -> None:
        self.kafka, self.influxdb, self.proxy = kafka, influxdb, proxy


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("kills")
    (folder / "kafka").mkdir()
    (folder / "influxdb").mkdir()
    try:
        kafka, influxdb = start_kafka(folder / "kafka"), start_influxdb(folder / "influxdb")
    except ServerUnavailableError as error:
        if os.environ.get("TXWATCH_REQUIRE_SERVERS") or os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with in_front_of(influxdb.url) as proxy:
        yield Servers(kafka, influxdb, proxy)
    kafka.close()
    influxdb.close()


class Collectors:
    """The processes `txwatch collect` of one round, started again when they end, as a supervisor does."""

    def __init__(self, address: str, environment: dict[str, str], folder: Path) -> None:
        self._command = [sys.executable, "-m", "txwatch", "collect", address]
        self._environment, self._folder = environment, folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, home: str) -> None:
        environment = self._environment | {"TXWATCH_HOME": str(self._folder / home)}
        with (self._folder / f"{home}.log").open("ab") as log:
            self._running[home] = subprocess.Popen(self._command, env=environment, stderr=log)

    def kill(self, home: str) -> None:
        """End it as a power cut would, and start it again."""
        self._running[home].kill()
        self._running.pop(home).wait()
        self.start(home)

    def leave(self, home: str) -> None:
        """End it in order."""
        self._running[home].terminate()
        self._running.pop(home).wait(60)

    def mend(self) -> None:
        """Start again what ended by itself."""
        for home in [home for home, each in self._running.items() if each.poll() is not None]:
            self.start(home)

    def close(self) -> None:
        for each in self._running.values():
            each.kill()
            each.wait()


def kill_collector(_: Servers, collectors: Collectors, __: random.Random) -> None:
    collectors.kill(FIRST)


def kill_influxdb(servers: Servers, _: Collectors, luck: random.Random) -> None:
    servers.influxdb.kill()
    time.sleep(luck.uniform(0.0, 1.0))
    servers.influxdb.start()


def kill_kafka(servers: Servers, _: Collectors, luck: random.Random) -> None:
    servers.kafka.kill()
    time.sleep(luck.uniform(0.0, 1.0))
    servers.kafka.start()


def hang_influxdb(servers: Servers, _: Collectors, luck: random.Random) -> None:
    servers.influxdb.pause()
    time.sleep(luck.uniform(0.2, 2.0))
    servers.influxdb.resume()


def refuse_writes(servers: Servers, _: Collectors, luck: random.Random) -> None:
    servers.proxy.faults.extend(luck.choices([429, 503, 500, LOST], k=luck.randrange(2, 6)))


def join_and_leave(_: Servers, collectors: Collectors, luck: random.Random) -> None:
    collectors.start(SECOND)
    time.sleep(luck.uniform(2.0, 5.0))
    collectors.leave(SECOND)


FAULTS = (kill_collector, kill_influxdb, kill_kafka, hang_influxdb, refuse_writes, join_and_leave)


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
def test_every_message_is_stored_once_or_in_quarantine(servers, tmp_path, seed):
    luck = random.Random(seed)
    servers.proxy.faults.clear()
    topics, org = Topics(servers.kafka), servers.influxdb.new_org()
    topic = topics.make(partitions=PARTITIONS)
    tokens = initialise(servers.influxdb.url, servers.influxdb.token, org).tokens
    asked = Asked(servers.influxdb, org, tokens["services"])
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TXWATCH_")},
        "PYTHONPATH": ":".join(sys.path),
        "TXWATCH_STORE": f"{servers.proxy.url.replace('http://', 'influx://')}/{org}",
        "TXWATCH_INFLUX_TOKEN": tokens["collector"],
    }
    collectors = Collectors(topics.address(topic, dead="store"), environment, tmp_path)
    producing = threading.Thread(target=produce, args=(servers.kafka, topic, seed))
    try:
        collectors.start(FIRST)
        producing.start()
        for fault in luck.sample(FAULTS, k=2):
            time.sleep(luck.uniform(0.3, UNDER_LOAD_SECONDS))
            fault(servers, collectors, luck)
        producing.join()
        wait_until_all_are_there(asked, collectors)
    finally:
        collectors.close()

    assert (asked.stored, asked.different, asked.refused) == (good(seed), good(seed), MESSAGES - good(seed))


def is_bad(number: int, seed: int) -> bool:
    return (number * 7919 + seed) % 50 == 0


def good(seed: int) -> int:
    return sum(not is_bad(number, seed) for number in range(MESSAGES))


def produce(kafka: KafkaServer, topic: str, seed: int) -> None:
    """Send all messages, evenly over a few seconds, each exactly once, however often Kafka dies."""
    producer = Producer(
        {
            "bootstrap.servers": kafka.address,
            "enable.idempotence": True,
            "log_level": 0,
            "message.timeout.ms": 120_000,
            "reconnect.backoff.max.ms": 500,
        }
    )
    for number in range(MESSAGES):
        value = message(number, amount="much") if is_bad(number, seed) else message(number)
        producer.produce(topic, value, partition=number % PARTITIONS)
        producer.poll(0)
        if number % 100 == 0:
            time.sleep(UNDER_LOAD_SECONDS * 100 / MESSAGES)
    assert producer.flush(PATIENCE_SECONDS) == 0


class Asked:
    """What InfluxDB itself says is stored, in InfluxQL; 0 where it does not answer."""

    def __init__(self, influxdb: InfluxdbServer, org: str, token: str) -> None:
        self._influxdb, self._org, self._token = influxdb, org, token

    @property
    def stored(self) -> int:
        """Return how many transactions there are points of."""
        return self._number("transactions", "SELECT count(amount) FROM transactions")

    @property
    def different(self) -> int:
        """Return how many ids these transactions have."""
        return self._number("transactions", "SELECT count(distinct(transaction_id)) FROM transactions")

    @property
    def refused(self) -> int:
        """Return how many messages are in quarantine."""
        return self._number("quarantine", "SELECT count(sequence) FROM quarantine")

    def _number(self, bucket: str, influxql: str) -> int:
        with suppress(urllib3.exceptions.HTTPError, json.JSONDecodeError):
            answer = urllib3.request(
                "GET",
                f"{self._influxdb.url}/query",
                fields={"db": bucket, "q": influxql, "org": self._org},
                headers={"Authorization": f"Token {self._token}"},
                timeout=30.0,
                retries=False,
            )
            series = answer.json()["results"][0].get("series", ())
            return sum(int(each["values"][0][1]) for each in series)
        return 0


def wait_until_all_are_there(asked: Asked, collectors: Collectors) -> None:
    """Wait for as many points as messages, and a little longer, so that one too many would show."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while asked.stored + asked.refused < MESSAGES and time.monotonic() < deadline:
        collectors.mend()
        time.sleep(0.3)
    time.sleep(1.0)
