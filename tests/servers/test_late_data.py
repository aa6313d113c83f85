"""Late data through the whole path: Kafka, collector, InfluxDB, detector, notifier, a thread in Slack."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from kafka_topics import message
from slack_standin import TOKEN, slack

from txwatch.model import AnomalyState
from txwatch.ports import AnomalyQuery

WINDOW = timedelta(minutes=15)
LEARNT = timedelta(days=16)
SILENT = timedelta(hours=2)
EVERY = timedelta(minutes=1)
PATIENCE_SECONDS = 120.0
RULES = """
version: 1
detectors:
  threshold: 100                        # nothing is said of single payments
  traffic: {window_seconds: 900}
alerts:
  min_severity: medium
  channels:
    ops: {kind: slack, to: ["#fraud"]}
  route:
    channels: [ops]
    match: {entity: [all]}
    group_wait: 0s
    group_interval: 1s
"""


@pytest.fixture
def installation(topics, influx_stores, tmp_path):
    """Yield (topic, Slack stand-in) of a collector, a detector and a notifier, each in its own process."""
    influx_stores.initialise()
    topic = topics.make()
    (tmp_path / "rules.yaml").write_text(RULES)
    with slack() as (standin, address):
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TXWATCH_")},
            "PYTHONPATH": ":".join(sys.path),
            "TXWATCH_HOME": str(tmp_path),
            "TXWATCH_RULES": str(tmp_path / "rules.yaml"),
            "TXWATCH_STORE": f"{influx_stores.server.url.replace('http://', 'influx://')}/{influx_stores.org}",
            "TXWATCH_INFLUX_TOKEN": influx_stores.tokens["services"],
            "TXWATCH_PSEUDONYM_KEY": "5e" * 32,
            "TXWATCH_SLACK_TOKEN": TOKEN,
            "TXWATCH_SLACK_URL": address,
        }
        commands = (["collect", "--no-derive", topics.address(topic)], ["detect"], ["alert"])
        running = [start(command, environment, tmp_path) for command in commands]
        yield topic, standin
        for each in running:
            each.send_signal(signal.SIGTERM)
        assert [each.wait(60) for each in running] == [0, 0, 0]


def start(command, environment, folder):
    words = [sys.executable, "-m", "txwatch", *command]
    with (folder / f"{command[0]}.log").open("wb") as log:
        return subprocess.Popen(words, env=environment, stdout=log, stderr=log)


def payments(begin, end, which=lambda _: True):
    """One payment a minute in a span, those that are chosen by their number."""
    count = (end - begin) // EVERY
    times = ((n, begin + n * EVERY) for n in range(count) if which(n))
    return [message(n, transaction_id=f"{at:%d%H%M}", timestamp=at.isoformat(), amount=0) for n, at in times]


def until(found):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_comes_hours_late_revises_and_then_withdraws_in_the_thread(installation, topics, influx_stores):
    """Two hours of silence are told; a quarter of it comes late, then the rest: the same thread says so."""
    topic, standin = installation
    now = datetime.now(UTC)
    back = now - (now - datetime(1970, 1, 1, tzinfo=UTC)) % WINDOW - 3 * WINDOW
    silent = back - SILENT

    def said(word):
        return [post for post in standin.posts if post["text"].startswith(word)]

    topics.produce(topic, payments(silent - LEARNT, silent) + payments(back, back + EVERY))
    until(lambda: standin.posts)
    late = payments(silent, back, lambda n: n % 4 == 0)
    topics.produce(topic, late + payments(back + EVERY, back + WINDOW + EVERY))
    until(lambda: said("Revised: "))
    late = payments(silent, back, lambda n: n % 4)
    topics.produce(topic, late + payments(back + WINDOW + EVERY, back + 2 * WINDOW + EVERY))
    until(lambda: said("Withdrawn: "))

    ts, standing = next(iter(standin.messages.items()))
    first, *thread = standin.posts
    assert "thread_ts" not in first
    assert {post["thread_ts"] for post in thread} == {ts}
    assert "is high, it was critical" in said("Revised: ")[0]["text"]
    assert "before late data came" in said("Withdrawn: ")[0]["text"]
    assert standing["text"] == said("Withdrawn: ")[0]["text"]
    query = AnomalyQuery(series="count/all", withdrawn=True)
    (kept,) = influx_stores.open().anomalies(query)
    assert kept.state is AnomalyState.WITHDRAWN
    assert kept.late
