"""Real servers and the processes of txwatch between them, on one machine."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ingest
from confluent_kafka.admin import AdminClient, NewTopic
from influxdb_server import InfluxdbServer, start_influxdb
from kafka_server import KafkaServer, start_kafka

from txwatch.stores.influx.connection import Access


@contextlib.contextmanager
def servers(home: Path, partitions: int) -> Iterator[tuple[KafkaServer, InfluxdbServer]]:
    """Start Kafka, with the topic, and InfluxDB; end them afterwards."""
    with contextlib.ExitStack() as running:
        (home / "kafka").mkdir()
        (home / "influx").mkdir()
        kafka, influx = start_kafka(home / "kafka"), start_influxdb(home / "influx")
        running.callback(kafka.close)
        running.callback(influx.close)
        admin = AdminClient({"bootstrap.servers": kafka.address, "log_level": 2})
        admin.create_topics([NewTopic(ingest.TOPIC, partitions, 1)])[ingest.TOPIC].result()
        yield kafka, influx


def start(command: list[str], access: Access, home: Path, **settings: str) -> subprocess.Popen[bytes]:
    """Start a command of txwatch in a home of its own, with the memory settings of the image."""
    environment = (
        os.environ
        | ingest.memory_settings()
        | {
            "TXWATCH_STORE": access.url.replace("http://", "influx://") + f"/{access.org}",
            "TXWATCH_INFLUX_TOKEN": access.token,
            "TXWATCH_HOME": str(home / command[0]),
            "PYTHONPATH": str(ingest.ROOT),
            **settings,
        }
    )
    with (home / f"{command[0]}.log").open("wb") as log:
        return subprocess.Popen([sys.executable, "-m", "txwatch", *command], env=environment, stderr=log)
