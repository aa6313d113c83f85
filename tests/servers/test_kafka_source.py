"""Messages of a real Kafka are stored once, by the command that operators run."""

import os

import pytest
from kafka_topics import message
from typer.testing import CliRunner

from txwatch.cli import app
from txwatch.clock import SystemClock
from txwatch.ports import TransactionQuery
from txwatch.stores.sqlite import SqliteStore


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("TXWATCH_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TXWATCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def collect(address):
    done = CliRunner().invoke(app, ["collect", address, "--once"])
    assert done.exit_code == 0, done.output
    return done.stderr.strip()


def stored(home):
    store = SqliteStore(home / "store.db", SystemClock(), writer=False)
    try:
        return store.transactions(TransactionQuery())
    finally:
        store.close()


def test_what_was_produced_is_stored_and_a_second_run_stores_nothing(topics, home):
    """Every good message of every partition, once; the group goes on behind the last one."""
    topic = topics.make(partitions=3)
    topics.produce(topic, [message(number) for number in range(3_000)], partitions=3)

    told = [collect(topics.address(topic)) for _ in range(2)]

    rows = stored(home)
    assert told == ["collector: 3,000 stored, 0 in quarantine", "collector: 0 stored, 0 in quarantine"]
    assert sorted(rows["transaction_id"]) == sorted(f"t{number}" for number in range(3_000))
    assert rows["source"].str.starts_with(f"{topic}@").all()
    assert topics.committed(topic, topic, partitions=3) == [1_000] * 3
