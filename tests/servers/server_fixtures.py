"""The fixtures `kafka`, `influxdb` and `postgres`: real servers on loopback, one of each per worker and run.

A test that asks for one is skipped, with the reason, where it cannot be had, and fails instead where
TXWATCH_REQUIRE_SERVERS or CI is set.  Tests may kill, pause and restart a server but leave it running.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from cached_build import ServerUnavailableError, is_built
from influxdb_server import IMAGE as INFLUXDB_IMAGE
from influxdb_server import InfluxdbServer, start_influxdb
from kafka_server import IMAGE as KAFKA_IMAGE
from kafka_server import KafkaServer, start_kafka
from launchers import engine_with
from postgres_server import PostgresServer, start_postgres
from registry_builds import INFLUXDB_FOLDER, KAFKA_FOLDER
from running_server import RunningServer

Server = TypeVar("Server", bound=RunningServer)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A real Kafka: `kafka.address`."""
    _build_only_if_required(KAFKA_FOLDER, KAFKA_IMAGE)
    yield from _running(start_kafka, tmp_path_factory.mktemp("kafka"))


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxdbServer]:
    """A real InfluxDB: `influxdb.url`, `.token` (the operator's), `.org`, and `.new_org()`."""
    _build_only_if_required(INFLUXDB_FOLDER, INFLUXDB_IMAGE)
    yield from _running(start_influxdb, tmp_path_factory.mktemp("influxdb"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A real PostgreSQL: `postgres.new_database()` is the address of an empty database."""
    yield from _running(start_postgres, tmp_path_factory.mktemp("postgres"))


def _build_only_if_required(folder: str, image: str) -> None:
    """Surprise nobody with a build of minutes in the middle of the tests."""
    if not (_required() or is_built(folder) or engine_with(image)):
        pytest.skip(f"{folder} is not built yet; `python3 tests/run.py --servers` does it once")


def _running(start: Callable[[Path], Server], folder: Path) -> Iterator[Server]:
    """Yield the started server; its log stays in pytest's folder, its data goes."""
    server = _start_or_skip(start, folder)
    yield server
    server.close()
    for entry in folder.iterdir():
        if entry.suffix != ".log":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _start_or_skip(start: Callable[[Path], Server], folder: Path) -> Server:
    try:
        return start(folder)
    except ServerUnavailableError as error:
        if _required():
            pytest.fail(f"a real server is required here (TXWATCH_REQUIRE_SERVERS or CI is set): {error}")
        pytest.skip(str(error))


def _required() -> bool:
    return os.environ.get("TXWATCH_REQUIRE_SERVERS", "") not in {"", "0"} or bool(os.environ.get("CI"))
