"""Rejected messages are stored once when they are read again, whatever dies on the way."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from collector.decode import Decoder
from collector.live import live_window
from collector.replay import JOURNAL, Replay, plan, reader
from collector.schema import Schema
from txwatch.errors import RefusedRow, RowsRefusedError, StoreBusyError
from txwatch.model import Quarantined, Rejected
from txwatch.ports import TransactionQuery
from txwatch.testing import ManualClock, MemoryStore

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
RENAMED = reader(Schema(rename={"user_id": "customer"}), None)


def record(number, **changed):
    usual = {
        "transaction_id": f"t{number}",
        "timestamp": "2026-03-02T11:00:00Z",
        "customer": "u",
        "merchant_id": "m",
        "amount": 1,
        "currency": "EUR",
    }
    rejected = Decoder(Schema()).decode(json.dumps(usual | changed).encode())
    assert isinstance(rejected, Rejected)
    return Quarantined(
        source="payments@1", partition=number % 2, sequence=number, received_at=NOW, rejected=rejected
    )


class Places:
    """A store and a quarantine that outlive a replay; calls fail as told."""

    def __init__(self, records):
        self.store = MemoryStore(ManualClock(NOW))
        self.store.quarantine(records)
        self.faults = {}

    def append(self, rows):
        self.store.append(rows)
        self._fail("append")

    def drop(self, records):
        self._fail("drop")
        self.store.drop(records)

    def quarantined(self, **choice):
        return self.store.quarantined(**choice)

    def _fail(self, name):
        fault = self.faults.pop(name, None)
        if fault is not None:
            raise fault

    @property
    def stored(self):
        return sorted(self.store.transactions(TransactionQuery())["transaction_id"])


def replay(places, folder, read=RENAMED):
    work = Replay(folder, places, places)
    return work.finish() + work.carry_out(plan(places.quarantined(limit=None), read))


def test_what_is_readable_now_is_stored_and_leaves_the_quarantine(tmp_path):
    """What is not stays; a second run finds nothing to do."""
    places = Places([record(1), record(2, amount=-1), record(3)])

    told = [replay(places, tmp_path), replay(places, tmp_path)]

    assert told == [2, 0]
    assert places.stored == ["t1", "t3"]
    assert [each.sequence for each in places.quarantined()] == [2]


def test_replayed_rows_are_new_to_the_detectors(tmp_path):
    """They stand in the feed under a source of their own, beyond every cursor."""
    places = Places([record(1), record(3)])
    replay(places, tmp_path)

    feed = places.store.feed({}, 10)

    assert feed["source"].str.starts_with("replay-").all()
    assert feed["sequence"].to_list() == [0, 1]


@pytest.mark.parametrize("step", ["append", "drop"])
@pytest.mark.parametrize("fault", [KeyboardInterrupt(), StoreBusyError("busy")], ids=["killed", "busy"])
def test_an_interrupted_replay_is_finished_with_the_same_identities(tmp_path, step, fault):
    """Even if the quarantine holds more by then, which would be another replay."""
    places = Places([record(1), record(3)])
    places.faults = {step: fault}
    with pytest.raises(type(fault)):
        replay(places, tmp_path)
    places.store.quarantine([record(5)])

    replay(places, tmp_path)

    assert places.stored == ["t1", "t3", "t5"]
    assert places.quarantined() == []
    assert not (tmp_path / JOURNAL).exists()


def test_rows_that_the_store_refuses_stay_in_quarantine(tmp_path):
    """They are not counted as stored."""
    places = Places([record(1), record(3)])
    places.faults = {"append": RowsRefusedError([RefusedRow("replay", 0, 1, "too long")])}

    told = replay(places, tmp_path)

    assert told == 1
    assert [each.sequence for each in places.quarantined()] == [3]


def test_a_message_of_which_only_the_beginning_was_kept_cannot_be_replayed():
    """It says so instead of a reason that its beginning would give."""
    long = record(1, note="x" * 100_000)

    planned = plan([long], RENAMED)

    assert [each.rejected.code for each in planned.refused] == ["truncated"]


def test_where_only_recent_times_are_taken_an_old_message_stays():
    """A store with a retention refuses what is older."""
    window = live_window(NOW, timedelta(minutes=10))

    planned = plan([record(1)], reader(Schema(rename={"user_id": "customer"}), window))

    assert [each.rejected.code for each in planned.refused] == ["time_out_of_range"]


def test_two_replays_in_one_folder_are_refused(tmp_path):
    """The second says why, and does nothing."""
    places = Places([record(1)])

    class Nested(Places):
        def append(self, rows):
            replay(places, tmp_path)

    with pytest.raises(StoreBusyError, match="another replay is at work"):
        replay(Nested([record(3)]), tmp_path)

    assert places.stored == []
