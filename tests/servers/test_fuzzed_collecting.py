"""Whatever is sent to the real Kafka, it is in the real InfluxDB or in the dead-letter topic, once.

TXWATCH_FUZZ_MESSAGES says how many spoiled messages are sent, beside as many good ones; TXWATCH_FUZZ_DATES
how many of one and the same date.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from fuzzed_messages import fuzzed, good_fields

from collector.deadletter import open_dead_letters
from txwatch.model import Cursor, Partition
from txwatch.ports import TransactionQuery

MESSAGES = int(os.environ.get("TXWATCH_FUZZ_MESSAGES", "3000"))
DATES = int(os.environ.get("TXWATCH_FUZZ_DATES", "20000"))
HUGE = max(1, MESSAGES // 2_000)
PARTITIONS = 4
Place = tuple[int, int]


@pytest.fixture
def collected(influx_stores, tmp_path):
    """Runs `txwatch collect` to the end of a topic; returns the store."""
    store = influx_stores.open()
    server = influx_stores.server.url.replace("http://", "influx://")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TXWATCH_")},
        "TXWATCH_HOME": str(tmp_path / "home"),
        "TXWATCH_STORE": f"{server}/{influx_stores.org}",
        "TXWATCH_INFLUX_TOKEN": influx_stores.tokens["collector"],
        "PYTHONPATH": ":".join(sys.path),
    }

    def run(address, *options):
        command = [sys.executable, "-m", "txwatch", "collect", "--no-derive", address, "--once", *options]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr[-2000:]
        return store

    return run


def places_in_feed(store) -> Counter[Place]:
    """Every place that a reader of the feed is given, as often as it is."""
    cursors, found = {}, Counter()
    while not (page := store.feed(cursors, 20_000)).is_empty():
        found.update(page.select("partition", "sequence").rows())
        for *place, arrival, sequence in page.select("source", "partition", "arrival", "sequence").rows():
            cursors[Partition(*place)] = Cursor(arrival, sequence)
    return found


def test_every_spoiled_message_is_stored_or_in_quarantine_with_its_reason(topics, collected):
    """And every good one between them is stored as it was."""
    now = datetime.now(UTC)
    odd = fuzzed(7, MESSAGES, now, huge=HUGE)
    topic = topics.make(partitions=PARTITIONS, max_message_bytes="20000000")
    both = (
        each for number, message in enumerate(odd) for each in (message, as_sent(good_fields(number, now)))
    )
    topics.produce(topic, both, partitions=PARTITIONS)
    address = topics.address(topic)
    store = collected(address)

    rows = store.transactions(TransactionQuery())
    dead = open_dead_letters(address, {}).quarantined(limit=None)
    stored = Counter(rows.select("partition", "sequence").rows())
    refused = Counter((each.partition, each.sequence) for each in dead)
    sent = {(n % PARTITIONS, n // PARTITIONS) for n in range(2 * MESSAGES)}
    assert set((stored + refused).values()) == {1}
    assert set(stored) | set(refused) == sent
    assert places_in_feed(store) == stored
    assert all(each.rejected.code and each.rejected.sentence for each in dead)
    good = rows.filter(rows["transaction_id"].str.starts_with("good-")).sort("sequence", "partition")
    expected = [good_fields(number, now) for number in range(MESSAGES)]
    assert sorted(good.select("transaction_id", "user_id", "amount").rows()) == sorted(
        (each["transaction_id"], each["user_id"], each["amount"]) for each in expected
    )


def test_messages_of_one_and_the_same_date_stay_apart(topics, collected, tmp_path):
    """A producer that sends no time of day: all of them at midnight, none on another's point."""
    day = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    schema = tmp_path / "schema.yaml"
    schema.write_text("date_only: true\n")
    now = datetime.now(UTC)
    topic = topics.make(partitions=PARTITIONS)
    messages = (as_sent(good_fields(number, now) | {"timestamp": day}) for number in range(DATES))
    topics.produce(topic, messages, partitions=PARTITIONS)
    store = collected(topics.address(topic), "--schema", str(schema))

    ids = store.transactions(TransactionQuery())["transaction_id"]
    assert ids.len() == ids.n_unique() == DATES
    assert set(places_in_feed(store).values()) == {1}


def as_sent(fields) -> bytes:
    return json.dumps(fields).encode()
