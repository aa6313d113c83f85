"""Read, store, quarantine, commit: in this order, so that whatever dies, nothing is lost or doubled."""

from datetime import UTC, datetime

import pytest

from collector.batch import decode_batch
from collector.decode import Decoder
from collector.files import collected
from collector.patience import LONGEST_WAIT_SECONDS
from collector.pipeline import CollectorService
from collector.readers.chunk import numbered
from collector.schema import Schema
from collector.source import Collected
from txwatch.errors import RefusedRow, RowsRefusedError, StoreBusyError, StoreError
from txwatch.ports import TransactionQuery
from txwatch.testing import ManualClock, MemoryStore

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DECODER = Decoder(Schema())


def message(n):
    return (
        b'{"transaction_id":"t%d","timestamp":%d,"user_id":"u","merchant_id":"m","amount":1,"currency":"EUR"}'
        % (
            n,
            1772452800 + n,
        )
    )


MESSAGES = [message(n) if n % 5 else b"{torn" for n in range(40)]


class ListSource:
    """Messages in a list: what a topic with one partition is."""

    def __init__(self, messages, start, log):
        self.messages, self.next, self.log = messages, start, log

    def read(self, limit):
        part = self.messages[self.next : self.next + limit]
        if not part:
            return collected_nothing()
        self.log.append("read")
        chunk = numbered(decode_batch(part, DECODER), self.next, len(part))
        self.next = chunk.following
        return collected("list", chunk, NOW)

    def commit(self, positions):
        self.log.append("commit source")

    def close(self):
        self.log.append("close")


def collected_nothing():
    return Collected(
        rows=collected("list", numbered(decode_batch([], DECODER), 0, 0), NOW).rows, finished=True
    )


class Places:
    """Store, quarantine and ledger that outlive a collector; `faults` makes calls raise, in turn."""

    def __init__(self):
        self.store = MemoryStore(ManualClock(NOW))
        self.positions = {}
        self.log = []
        self.faults = {}

    def _call(self, name):
        self.log.append(name)
        if self.faults.get(name):
            fault = self.faults[name].pop(0)
            if fault is not None:
                raise fault

    def append(self, rows):
        self._call("append")
        self.store.append(rows)

    def quarantine(self, records):
        self._call("quarantine")
        self.store.quarantine(records)

    def commit_positions(self, moved):
        self._call("commit ledger")
        self.positions |= moved


class Seconds:
    """A clock of seconds, advanced by hand."""

    at = 0.0

    def __call__(self):
        return self.at


def collector(places, messages=MESSAGES, batch=7, seconds=None):
    start = next(iter(places.positions.values()), 0)
    source = ListSource(messages, start, places.log)
    return CollectorService(
        source, places, places, places, ManualClock(NOW), batch=batch, monotonic=seconds or Seconds()
    )


def run(service):
    while not service.step().finished:
        pass


def identities(places):
    rows = places.store.transactions(TransactionQuery())["sequence"].to_list()
    return sorted(rows), sorted(record.sequence for record in places.store.quarantined(limit=None))


ALL = [n for n in range(40) if n % 5], [n for n in range(40) if n % 5 == 0]


def test_the_order_is_read_append_quarantine_commit():
    """The ledger before the source: the source may forget only what the ledger knows."""
    places = Places()
    service = collector(places, MESSAGES[:7])

    service.step()

    assert places.log == ["read", "append", "quarantine", "commit ledger", "commit source"]


@pytest.mark.parametrize("step", ["append", "quarantine", "commit ledger"])
@pytest.mark.parametrize("after", range(6))
def test_a_crash_at_any_point_loses_and_doubles_nothing(step, after):
    """What was not committed comes again, with the same identities."""
    places = Places()
    places.faults = {step: [None] * after + [KeyboardInterrupt()]}

    with pytest.raises(KeyboardInterrupt):
        run(collector(places))
    run(collector(places))

    assert identities(places) == ALL


def test_a_busy_store_is_tried_again_without_reading_ahead():
    """The wait doubles up to a bound, is not slept away, and health says what is going on."""
    places, seconds = Places(), Seconds()
    places.faults = {"append": [StoreBusyError("the store is busy")] * 3}
    service = collector(places, seconds=seconds)

    steps = []
    for _ in range(400):
        steps.append(service.step().handled)
        seconds.at += 0.01

    assert identities(places) == ALL
    assert places.log[:5] == ["read", "append", "append", "append", "append"]
    assert sum(steps) == 40
    assert service.health().figures["store_retries_total"] == 3


def test_a_busy_store_degrades_and_recovers():
    """While it waits, the sentence tells when it tries again; afterwards all is well."""
    places, seconds = Places(), Seconds()
    places.faults = {"commit ledger": [StoreBusyError("the ledger is busy")] * 20}
    service = collector(places, seconds=seconds)

    waits = []
    for _ in range(20):
        service.step()
        waits.append(service.health().sentence)
        seconds.at += LONGEST_WAIT_SECONDS
    state = service.health().state
    run(service)

    assert state == "degraded"
    assert "the ledger is busy; trying again in 0.2 s, nothing is lost" in waits[0]
    assert "trying again in 30.0 s" in waits[-1]
    assert service.health().state == "ok"
    assert identities(places) == ALL


def test_a_full_disk_ends_the_collector_and_loses_nothing():
    """A store that will never take more raises; the next run goes on where the last commit was."""
    places = Places()
    places.faults = {"append": [None, StoreError("the disk is full")]}

    with pytest.raises(StoreError, match="the disk is full"):
        run(collector(places))
    run(collector(places))

    assert identities(places) == ALL


def test_rows_that_a_store_refuses_go_into_quarantine():
    """With the transaction as JSON, and the store's own sentence."""
    places = Places()
    refused = RefusedRow("list", 0, 3, "its field is too long")
    places.append = lambda rows: (_ for _ in ()).throw(RowsRefusedError([refused]))
    service = collector(places, MESSAGES[:7])

    service.step()

    record = next(r for r in places.store.quarantined() if r.sequence == 3)
    assert (record.rejected.code, record.rejected.sentence) == ("store_refused", "its field is too long")
    assert b'"transaction_id":"t3"' in record.rejected.raw
    assert DECODER.decode(record.rejected.raw).transaction_id == "t3"
    assert service.health().figures["quarantined_store_refused_total"] == 1


def test_health_counts_and_measures():
    """Stored, rejected by reason, how fast, how old the newest event is."""
    places, seconds = Places(), Seconds()
    service = collector(places, seconds=seconds)

    run(service)
    seconds.at = 4.0
    health = service.health()

    assert health.sentence == "32 stored, 8 in quarantine"
    assert health.figures["transactions_total"] == 32
    assert health.figures["quarantined_not_json_total"] == 8
    assert health.figures["messages_per_second"] == 10
    assert health.figures["event_lag_seconds"] == (NOW.timestamp() - 1772452839)
    seconds.at = 60.0
    assert service.health().figures["messages_per_second"] == 0


def test_messages_that_say_nothing_still_are_progress():
    """Positions that move without a row are committed, and the step counts as work."""
    places = Places()
    source = ListSource([], 0, places.log)
    empty = collected("list", numbered(decode_batch([], DECODER), 0, 3), NOW)
    source.read = lambda limit: empty
    service = CollectorService(source, places, places, places, ManualClock(NOW))

    assert service.step().handled == 1
    assert list(places.positions.values()) == [3]
