"""The fixtures `kafka` and `influxdb`: real servers on loopback, one of each for the whole test run.

A test that asks for one is skipped, with the reason, where it cannot be had, and fails instead where
TXWATCH_REQUIRE_SERVERS or CI is set.  Tests may kill, pause and restart a server but leave it running.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from cached_build import ServerUnavailableError
from influxdb_server import InfluxdbServer, start_influxdb
from kafka_server import KafkaServer, start_kafka
from running_server import RunningServer

SERVERS = ("kafka", "influxdb")
Server = TypeVar("Server", bound=RunningServer)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A real Kafka: `kafka.address`."""
    yield from _running(start_kafka, tmp_path_factory.mktemp("kafka"))


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxdbServer]:
    """A real InfluxDB: `influxdb.url`, `.token` (the operator's), `.org`, and `.new_org()`."""
    yield from _running(start_influxdb, tmp_path_factory.mktemp("influxdb"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all tests of the real servers to one worker (`--dist loadgroup`), so that each starts once."""
    for item in items:
        if set(SERVERS) & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("servers"))


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
