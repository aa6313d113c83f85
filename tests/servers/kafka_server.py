"""A real Apache Kafka on loopback: one node in KRaft mode, broker and controller in one process."""

import os
import socket
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cached_build import ServerUnavailableError, needs
from kafka_security import SecureListener
from launchers import ChildProcess, Container, Launcher, engine_with, free_ports
from registry_builds import KAFKA_VERSION, kafka_jars
from running_server import RunningServer

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
CLUSTER_ID = "dHh3YXRjaC10ZXN0cy0wMA"
MEMORY = "-Xmx512m"
METADATA_REQUEST = struct.pack(">hhihi", 3, 0, 1, -1, 0)
"""API key 3 (metadata), version 0, correlation id 1, no client id, all topics."""


class KafkaServer(RunningServer):
    """Kafka; `address` is what clients call `bootstrap.servers`, `secure_address` that of `authority`."""

    def __init__(self, launcher: Launcher, ports: "Ports", secure: SecureListener) -> None:
        super().__init__("Kafka", launcher, lambda: knows_a_broker(ports.plain))
        self.address = f"127.0.0.1:{ports.plain}"
        self.secure_address = f"127.0.0.1:{ports.secure}"
        self.authority = secure.authority


class Ports(NamedTuple):
    """Where its listeners listen."""

    plain: int
    secure: int
    controller: int


def start_kafka(folder: Path, properties: Mapping[str, str] | None = None) -> KafkaServer:
    """Start Kafka with its data and log in `folder`; `properties` add to or replace the broker's settings.

    Raises ServerUnavailableError where it cannot be had.
    """
    ports, secure = Ports(*free_ports(3)), SecureListener(folder / "authority")
    settings = {**_settings(ports), **secure.properties(), **(properties or {})}
    engine = engine_with(IMAGE)
    if engine:
        launcher = _container(engine, folder, ports, settings)
    else:
        launcher = _child_process(folder, ports, settings)
    server = KafkaServer(launcher, ports, secure)
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


def _child_process(folder: Path, ports: Ports, settings: Mapping[str, str]) -> Launcher:
    needs("java")
    classes = f"{kafka_jars()}/*"
    listen = {"listeners": _listeners(ports, "127.0.0.1"), "log.dirs": str(folder / "data")}
    config = folder / "server.properties"
    _write(config, {**listen, **settings})
    _format(classes, config)
    command = ["java", MEMORY, "-cp", classes, "kafka.Kafka", str(config)]
    return ChildProcess(command, folder / "kafka.log")


def _container(engine: str, folder: Path, ports: Ports, settings: Mapping[str, str]) -> Launcher:
    listen = {"listeners": _listeners(ports, "0.0.0.0"), "log.dirs": "/tmp/kafka-data"}
    mounted = folder / "config"
    mounted.mkdir()
    _write(mounted / "server.properties", {**listen, **settings})
    publish = ["--volume", f"{mounted}:/mnt/shared/config:ro"]
    for port in (ports.plain, ports.secure):
        publish += ["--publish", f"127.0.0.1:{port}:{port}"]
    environment = ["--env", f"CLUSTER_ID={CLUSTER_ID}", "--env", f"KAFKA_HEAP_OPTS={MEMORY}"]
    return Container(engine, IMAGE, [*publish, *environment], [], folder / "kafka.log")


def _listeners(ports: Ports, host: str) -> str:
    ours = f"PLAINTEXT://{host}:{ports.plain},SECURE://{host}:{ports.secure}"
    return f"{ours},CONTROLLER://127.0.0.1:{ports.controller}"


def _settings(ports: Ports) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{ports.controller}",
        "controller.listener.names": "CONTROLLER",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{ports.plain},SECURE://127.0.0.1:{ports.secure}",
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
