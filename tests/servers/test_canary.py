"""A canary goes the whole way: Kafka, collector, detectors, notifier, channel; and no figure counts it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kafka_topics import message
from web_standin import web

from txwatch.clock import SystemClock
from txwatch.ledger import Ledger
from txwatch.model import Mode
from txwatch.ports import AnomalyQuery, TrafficQuery
from txwatch.stores import open_store

RULES = """
version: 1
alerts:
  channels:
    alive: {kind: webhook, to: ["%s/alive"]}
  canary: [alive]
  route:
    channels: []
"""


@pytest.fixture
def installation(tmp_path, topics):
    """Yield what starts txwatch on a topic of its own: (start, home, topic, web stand-in)."""
    topic = topics.make()
    with web() as (standin, address):
        (tmp_path / "rules.yaml").write_text(RULES % address)
        environment = os.environ | {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "TXWATCH_HOME": str(tmp_path),
            "TXWATCH_RULES": str(tmp_path / "rules.yaml"),
            "TXWATCH_CANARY_KEY": "ab" * 32,
            "TXWATCH_CANARY_HEARTBEAT": f"{address}/heartbeat",
            "TXWATCH_WEBHOOK_SECRET": "s",
            "TXWATCH_PSEUDONYM_KEY": "cd" * 32,
        }

        def start(*arguments):
            return subprocess.Popen(
                [sys.executable, "-m", "txwatch", *arguments, topics.address(topic)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        yield start, tmp_path, topic, standin


def stop(process):
    process.send_signal(signal.SIGTERM)
    return process.communicate(timeout=60)


def test_a_canary_goes_the_whole_way_and_counts_nowhere(installation, topics):
    """Time to alert is told, the heartbeat asked; traffic has the one transaction that is none."""
    start, home, topic, standin = installation
    topics.produce(topic, [message(1)])
    running = start("run")
    try:
        canary = start("canary", "--once", "--patience", "90s", "--to")
        _, told = canary.communicate(timeout=150)
        assert canary.returncode == 0, told
        deadline = time.monotonic() + 20
        clock = SystemClock()
        store = open_store(
            f"sqlite:///{home / 'store.db'}", clock, writer=False, secrets={}, role="investigator"
        )
        while not store.traffic(TrafficQuery(dimension="all", seconds=60)) and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        printed, errors = stop(running)

    assert "the last alert took" in told, told
    assert [request.path for request in standin.requests] == ["/alive", "/heartbeat"]
    notice = json.loads(standin.requests[0].body)["notice"]
    assert notice["found"][0]["reasons"][0].startswith("canary of ")
    (anomaly,) = store.anomalies(AnomalyQuery(mode=Mode.CANARY))
    assert anomaly.merchant_id == "txwatch-canary"
    assert store.counts()["transactions"] == 2
    counted = store.traffic(TrafficQuery(dimension="all", seconds=60))
    assert sum(point.count for point in counted) == 1, errors
    assert "canary" not in printed
    ledger = Ledger.open(f"sqlite:///{home / 'ledger.db'}", clock)
    assert [each.state for each in ledger.alerts().outbox(limit=9)] == ["sent"]
    ledger.close()
    store.close()


def test_a_canary_is_missed_where_nothing_would_be_found(installation):
    """Everything runs, and a threshold that no score reaches is in force: no alert, and health says why."""
    start, home, _, standin = installation
    with (home / "rules.yaml").open("a") as file:
        file.write("detectors: {threshold: 100}\n")
    running = start("run")
    try:
        canary = start("canary", "--once", "--patience", "20s", "--to")
        _, told = canary.communicate(timeout=150)
    finally:
        _, logged = stop(running)

    assert canary.returncode == 1
    assert "was not found within" in told
    assert "a canary was scored as an ordinary payment" in logged
    assert standin.requests == []


def test_a_canary_that_does_not_arrive_is_missed(installation):
    """Nobody collects: it says so, and no heartbeat goes out."""
    start, _, _, standin = installation

    canary = start("canary", "--once", "--patience", "1s", "--to")
    _, told = canary.communicate(timeout=60)

    assert canary.returncode == 1
    assert "was not found within" in told
    assert standin.requests == []
