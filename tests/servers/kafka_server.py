"""A real Apache Kafka on loopback: one node in KRaft mode, broker and controller in one process."""

import os
import socket
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cached_build import ServerUnavailableError, needs
from launchers import ChildProcess, Container, Launcher, engine_with, free_ports
from registry_builds import KAFKA_VERSION, kafka_jars
from running_server import RunningServer

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
CLUSTER_ID = "dHh3YXRjaC10ZXN0cy0wMA"
MEMORY = "-Xmx512m"
METADATA_REQUEST = struct.pack(">hhihi", 3, 0, 1, -1, 0)
"""API key 3 (metadata), version 0, correlation id 1, no client id, all topics."""


class KafkaServer(RunningServer):
    """Kafka; `address` is what clients call `bootstrap.servers`."""

    def __init__(self, launcher: Launcher, port: int) -> None:
        super().__init__("Kafka", launcher, lambda: knows_a_broker(port))
        self.address = f"127.0.0.1:{port}"


def start_kafka(folder: Path, properties: Mapping[str, str] | None = None) -> KafkaServer:
    """Start Kafka with its data and log in `folder`; `properties` add to or replace the broker's settings.

    Raises ServerUnavailableError where it cannot be had.
    """
    port, controller_port = free_ports(2)
    engine = engine_with(IMAGE)
    if engine:
        launcher = _container(engine, folder, port, controller_port, properties or {})
    else:
        launcher = _child_process(folder, port, controller_port, properties or {})
    server = KafkaServer(launcher, port)
    server.start()
    return server


def provide_kafka() -> str:
    """Bring what `start_kafka` needs; returns where from."""
    engine = engine_with(IMAGE)
    if engine:
        return f"{engine} image {IMAGE}"
    needs("java")
    return str(kafka_jars())


def knows_a_broker(port: int) -> bool:
    """Ask for metadata in Kafka's own protocol: a broker that lists itself takes requests."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.settimeout(2)
        connection.sendall(struct.pack(">i", len(METADATA_REQUEST)) + METADATA_REQUEST)
        answer = connection.recv(12)
    return len(answer) == 12 and struct.unpack(">iii", answer)[2] > 0


def _child_process(folder: Path, port: int, controller_port: int, properties: Mapping[str, str]) -> Launcher:
    needs("java")
    classes = f"{kafka_jars()}/*"
    listen = {
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "log.dirs": str(folder / "data"),
    }
    config = folder / "server.properties"
    _write(config, {**_settings(port, controller_port), **listen, **properties})
    _format(classes, config)
    command = ["java", MEMORY, "-cp", classes, "kafka.Kafka", str(config)]
    return ChildProcess(command, folder / "kafka.log")


def _container(
    engine: str, folder: Path, port: int, controller_port: int, properties: Mapping[str, str]
) -> Launcher:
    listen = {
        "listeners": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "log.dirs": "/tmp/kafka-data",
    }
    mounted = folder / "config"
    mounted.mkdir()
    _write(mounted / "server.properties", {**_settings(port, controller_port), **listen, **properties})
    publish = ["--publish", f"127.0.0.1:{port}:{port}", "--volume", f"{mounted}:/mnt/shared/config:ro"]
    environment = ["--env", f"CLUSTER_ID={CLUSTER_ID}", "--env", f"KAFKA_HEAP_OPTS={MEMORY}"]
    return Container(engine, IMAGE, [*publish, *environment], [], folder / "kafka.log")


def _settings(port: int, controller_port: int) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "broker.session.timeout.ms": "2000",  # how long a killed broker keeps its successor waiting
        "broker.heartbeat.interval.ms": "500",
    }


def _write(path: Path, settings: Mapping[str, str]) -> None:
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


def _format(classes: str, config: Path) -> None:
    command = [
        "java",
        "-cp",
        classes,
        "kafka.tools.StorageTool",
        "format",
        "-t",
        CLUSTER_ID,
        "-c",
        str(config),
    ]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    if run.returncode:
        raise ServerUnavailableError(f"Kafka's storage could not be formatted: {run.stderr.strip()[-300:]}")
