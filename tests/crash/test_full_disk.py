"""A full disk under the store and its quarantine: the collector says so, waits, and loses nothing.

The disk is a real one, of a few megabytes, in memory; making it takes the rights of root.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from influxdb_server import start_influxdb
from kafka_topics import message

from txwatch.clock import SystemClock
from txwatch.ports import Store, TransactionQuery
from txwatch.stores.influx.connection import Access
from txwatch.stores.influx.setup import initialise
from txwatch.stores.influx.store import InfluxStore
from txwatch.stores.sqlite import SqliteStore

MESSAGES = 3_000
PATIENCE_SECONDS = 90.0


class Disk:
    """A small file system; `fill` leaves no room on it, `free` gives the room back."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._ballast = folder, folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path, request) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "tmpfs", str(folder)], check=True)
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Collector:
    """`txwatch collect` at work, and what it logs."""

    def __init__(self, address: str, log: Path, **settings: str) -> None:
        self._log = log
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TXWATCH_")},
            **settings,
            "TXWATCH_LOG_FORMAT": "json",
            "PYTHONPATH": ":".join(sys.path),
        }
        command = [sys.executable, "-m", "txwatch", "collect", "--no-derive", address]
        with log.open("wb") as file:
            self._process = subprocess.Popen(command, env=environment, stderr=file)

    def sentences(self, state: str) -> list[str]:
        """What it logged on coming into a state."""
        lines = self._log.read_text().splitlines()
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return [each["sentence"] for each in events if each["event"] == "state" and each["state"] == state]

    def until(self, done: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            assert time.monotonic() < deadline, self._log.read_text()[-2000:]
            time.sleep(0.1)

    def end(self) -> None:
        self._process.terminate()
        assert self._process.wait(60) == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def collecting(tmp_path) -> Iterator[Callable[..., Collector]]:
    """Starts a collector, and ends it whatever becomes of the test."""
    started: list[Collector] = []

    def start(address: str, **settings: str) -> Collector:
        started.append(Collector(address, tmp_path / "log", **settings))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def spoiled_now_and_then(numbers: range) -> list[bytes]:
    return [message(number, amount="much") if number % 10 == 0 else message(number) for number in numbers]


def survive(
    disk: Disk,
    collector: Collector,
    produce: Callable[[range], None],
    store: Callable[[], Store],
    mend: Callable[[], object] = lambda: None,
) -> None:
    """Fill the disk under load, give it back, and compare what is there with what was sent."""

    def there() -> tuple[int, int]:
        opened = store()
        try:
            counts = opened.counts()
        finally:
            opened.close()
        return counts["transactions"], counts["quarantine"]

    produce(range(MESSAGES))
    collector.until(lambda: sum(there()) == MESSAGES)
    disk.fill()
    produce(range(MESSAGES, 2 * MESSAGES))
    collector.until(lambda: collector.sentences("degraded"))
    disk.free()
    mend()
    collector.until(lambda: sum(there()) >= 2 * MESSAGES)
    collector.end()

    opened = store()
    ids = opened.transactions(TransactionQuery())["transaction_id"]
    refused = opened.quarantined(limit=None)
    opened.close()
    assert sorted(ids) == sorted(f"t{number}" for number in range(2 * MESSAGES) if number % 10)
    assert sorted(each.sequence for each in refused) == list(range(0, 2 * MESSAGES, 10))
    assert collector.sentences("ok")


@pytest.mark.parametrize("disk", [6], indirect=True)
def test_the_embedded_store_waits_for_room(topics, disk, collecting):
    topic = topics.make()
    file = disk.folder / "home" / "store.db"
    collector = collecting(topics.address(topic, dead="store"), TXWATCH_HOME=str(disk.folder / "home"))
    collector.until(file.exists)

    survive(
        disk,
        collector,
        lambda numbers: topics.produce(topic, spoiled_now_and_then(numbers)),
        lambda: SqliteStore(file, SystemClock(), writer=False),
    )

    assert "full" in collector.sentences("degraded")[0]


@pytest.mark.parametrize("disk", [200], indirect=True)
def test_influxdb_is_started_again_when_there_is_room(topics, disk, collecting, tmp_path):
    """It does not open again by itself what it could not open while the disk was full."""
    topic, server = topics.make(), start_influxdb(disk.folder)
    done = initialise(server.url, server.token, server.org)
    access = Access(url=server.url, token=done.tokens["services"], org=server.org)
    collector = collecting(
        topics.address(topic, dead="store"),
        TXWATCH_HOME=str(tmp_path / "home"),
        TXWATCH_STORE=f"{server.url.replace('http://', 'influx://')}/{server.org}",
        TXWATCH_INFLUX_TOKEN=done.tokens["collector"],
    )
    try:
        survive(
            disk,
            collector,
            lambda numbers: topics.produce(topic, spoiled_now_and_then(numbers)),
            lambda: InfluxStore(access, SystemClock()),
            mend=server.restart,
        )
    finally:
        server.close()

    assert "trying again" in collector.sentences("degraded")[0]
