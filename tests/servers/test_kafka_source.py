"""Messages of a real Kafka are stored once, by the command that operators run."""

import json
import os

import polars as pl
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


def told_by(*command):
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return done.output


def collect(address):
    return told_by("collect", "--no-derive", address, "--once").strip()


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


def test_dead_letters_are_replayed_once_and_dropped(topics, home, monkeypatch):
    """By today's schema; what was stored has left the topic, the rest is dropped on request."""
    topic = topics.make()
    topics.produce(topic, [message(1), message(2, user_id=None, customer="u2"), b"{"])
    collect(topics.address(topic))
    monkeypatch.setenv("TXWATCH_SOURCE", topics.address(topic))
    (home.parent / "schema.yaml").write_text("rename: {user_id: customer}\n")

    told = [told_by("quarantine", "replay", "--schema", "schema.yaml").splitlines()[0] for _ in range(2)]
    left = told_by("quarantine", "list", "--json").splitlines()
    told += [told_by("quarantine", "drop", "--reason", "not_json", "--yes"), told_by("quarantine", "stats")]

    assert told == ["1 stored, 1 stay", "0 stored, 1 stay", "1 dropped\n", ""]
    assert [json.loads(each)["reason"] for each in left] == ["not_json"]
    rows = stored(home)
    assert dict(zip(rows["transaction_id"], rows["user_id"], strict=True)) == {"t1": "u1", "t2": "u2"}
    assert rows["source"].str.starts_with("replay-").sum() == 1


def test_a_simulated_stream_is_sent_and_collected(topics, home):
    """As happening now, so that a live collector takes it; a user's transactions share a partition."""
    topic = topics.make(partitions=3)
    made = ("--days", "1", "--users", "200", "--rate", "0", "--labels", "labels.csv")
    sent = told_by("simulate", "--to", topics.address(topic), *made)
    collected = collect(topics.address(topic))

    rows = stored(home)
    assert f"{rows.height:,} transactions, " in sent
    assert collected == f"collector: {rows.height:,} stored, 0 in quarantine"
    assert rows["transaction_id"].n_unique() == rows.height > 100
    assert rows.group_by("user_id").agg(pl.col("partition").n_unique())["partition"].max() == 1
