"""The ledger in PostgreSQL: writers one after the other, readers at once, a server that comes and goes."""

import threading
import time

import psycopg
import pytest
from alert_builders import SOMEWHERE, found, notifier, settings
from slack_standin import TOKEN, slack

from alerts.sending import Delivered
from alerts.service import NotifierService
from alerts.slack import SlackSender
from txwatch.clock import SystemClock
from txwatch.errors import StoreBusyError, StoreError
from txwatch.ledger import Ledger, postgres
from txwatch.model import Cursor, Partition
from txwatch.testing import ManualClock

A = Partition("topic", 0)


@pytest.fixture
def address(request):
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def opened(address, tmp_path):
    """Open the ledger as another process would."""
    ledgers = []

    def opened(clock=None):
        ledgers.append(Ledger.open(address, clock or ManualClock(), home=tmp_path))
        return ledgers[-1]

    yield opened
    for each in ledgers:
        each.close()


def test_reading_waits_for_nobody(opened, address, monkeypatch):
    """A long write of another process holds up writes alone, and those may be tried again."""
    ledger = opened()
    ledger.commit_positions({A: 5})
    monkeypatch.setattr(postgres, "WAIT", "50ms")
    other = opened()
    with psycopg.connect(address) as writer:
        writer.execute(f"SELECT pg_advisory_xact_lock({postgres.LOCK})")

        assert other.positions("topic") == {A: 5}
        with pytest.raises(StoreBusyError, match="being written by another process"):
            other.commit_positions({A: 6})
        writer.rollback()
    other.commit_positions({A: 7})

    assert ledger.positions("topic") == {A: 7}


def test_who_stands_still_in_a_transaction_loses_it(opened, monkeypatch):
    """A process that was stopped at the wrong moment does not hold up the others for good."""
    monkeypatch.setattr(postgres, "STANDSTILL", "200ms")
    stopped, other = opened(), opened()

    with pytest.raises(StoreBusyError, match="does not answer"), stopped._writing() as connection:  # noqa: PT012 - what stands still is inside
        time.sleep(0.5)
        other.commit_positions({A: 7})
        connection.exec_driver_sql("SELECT 1")

    assert stopped.positions("topic") == {A: 7}


def test_a_server_that_comes_back_is_gone_on_with(opened, request):
    """While it is away the ledger is busy, which every service waits for; what was committed is there."""
    server, ledger = request.getfixturevalue("postgres"), opened()
    ledger.commit_positions({A: 5})
    server.stop()
    try:
        with pytest.raises(StoreBusyError, match="does not answer"):
            ledger.positions("topic")
    finally:
        server.start()

    assert ledger.positions("topic") == {A: 5}


def test_a_notifier_outlasts_its_database(opened, request):
    """What was sent while the server went away is recorded when it is back, and not sent again."""
    server, clock = request.getfixturevalue("postgres"), ManualClock()
    ledger = opened(clock)
    gone = threading.Event()

    class Slow:
        def send(self, notice, key, reference):
            gone.wait(30)
            return Delivered(reference="1")

    service = notifier(ledger, settings("ops", group_wait="0s"), {"ops": Slow()}, clock)
    console = NotifierService(ledger, [], settings("ops"))
    ledger.commit_step("detectors", {SOMEWHERE: Cursor(1, 1)}, [found("a1")])
    service.step()
    server.stop()
    try:
        gone.set()
        time.sleep(0.1)
        assert service.step().handled == console.step().handled == 0
        assert "does not answer" in service.health().sentence
    finally:
        server.start()
    for _ in range(3):
        service.step()

    (sent,) = ledger.alerts().outbox(limit=9)
    assert (sent.state, sent.attempts) == ("sent", 1)
    assert service.health().state == "ok"
    service.close()


def test_what_a_channel_answers_is_kept_whatever_it_is(opened):
    """PostgreSQL takes no zero character in a text; a server that answers with one does not stop the rest."""
    clock = ManualClock()
    ledger = opened(clock)

    class Odd:
        def send(self, notice, key, reference):
            return Delivered(answer="thanks\0\n")

    service = notifier(ledger, settings("ops", group_wait="0s"), {"ops": Odd()}, clock)
    ledger.commit_step("detectors", {SOMEWHERE: Cursor(1, 1)}, [found("a1")])
    while not service.step().finished:
        pass

    assert [each.answer for each in ledger.alerts().outbox(limit=9)] == ["thanks  "]
    service.close()


def test_a_password_stands_in_no_message(address):
    """Whoever reads a log learns who was refused, not with what."""
    with pytest.raises(StoreError) as caught:
        Ledger.open(address.replace("postgres@", "nobody:s3cret@"), ManualClock())

    assert "nobody" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_two_notifiers_at_once_tell_once(opened):
    """Each with a connection of its own: 200 groups, 200 messages, nothing twice, nothing lost."""
    clock = SystemClock()
    policy = settings("ops", group_by=("user",), group_wait="0s", repeat_interval="1d")
    with slack() as (server, where):
        services = [
            notifier(opened(clock), policy, {"ops": SlackSender(("#fraud",), TOKEN, where)}, clock)
            for _ in range(2)
        ]
        ledger, over = opened(clock), threading.Event()
        threads = [threading.Thread(target=run, args=(service, over)) for service in services]
        for thread in threads:
            thread.start()
        for n in range(200):
            ledger.commit_step("detectors", {SOMEWHERE: Cursor(1, n)}, [found(f"a{n}", f"u{n}")])
        deadline = time.monotonic() + 60
        while ledger.alerts().channels(0.0)["ops"].sent < 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        over.set()
        for thread in threads:
            thread.join()

    entries = ledger.alerts().outbox(limit=1000)
    assert len(entries) == len({each.key for each in entries}) == 200
    assert len(server.posts) == 200 + sum(each.unanswered for each in entries)
    assert {each.state for each in entries} == {"sent"}


def run(service, over):
    while not over.is_set():
        if service.step().handled == 0:
            time.sleep(0.01)
    service.close()
