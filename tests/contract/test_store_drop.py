"""What is dropped from a quarantine is gone, and nothing else is."""

from datetime import UTC, datetime

import pytest

from collector.deadletter import open_dead_letters
from txwatch.model import Quarantined, Rejected
from txwatch.stores.sqlite import SqliteStore
from txwatch.testing import ManualClock, MemoryStore

NOW = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)


def record(sequence, source='odd "source", with\\signs', partition=3):
    rejected = Rejected(code="not_json", sentence="the message is not JSON", raw=b"{", length=1)
    return Quarantined(
        source=source, partition=partition, sequence=sequence, received_at=NOW, rejected=rejected
    )


def places(records):
    return {(each.source, each.partition, each.sequence) for each in records}


@pytest.fixture(params=["memory", "sqlite", "influx", "kafka"])
def store(request, tmp_path):
    clock = ManualClock(NOW)
    if request.param == "influx":
        yield request.getfixturevalue("influx_stores").open(clock)
        return
    if request.param == "kafka":
        topics = request.getfixturevalue("topics")
        yield open_dead_letters(topics.address(topics.make()), {})
        return
    opened = (
        MemoryStore(clock) if request.param == "memory" else SqliteStore(tmp_path / "s", clock, writer=True)
    )
    yield opened
    opened.close()


def test_a_dropped_record_is_gone_and_its_neighbours_stay(store):
    """Same time, another sequence, partition or source: another record.  Dropping twice changes nothing."""
    neighbours = [record(6), record(1_000_005), record(5, partition=4), record(5, source="other")]
    store.quarantine([record(5), *neighbours])

    store.drop([record(5)])
    store.drop([record(5), record(99)])

    assert places(store.quarantined()) == places(neighbours)


def test_a_dropped_record_may_come_again(store):
    """Its place is free."""
    store.quarantine([record(5)])
    store.drop([record(5)])
    store.quarantine([record(5)])

    assert len(store.quarantined()) == 1
