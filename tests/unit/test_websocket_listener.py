"""Producers push frames to the listener: tokens, acknowledgements after the write, repeats stored once."""

import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from private_authority import Authority
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from collector.pipeline import CollectorService
from collector.schema import Schema
from collector.websocket.journal import Entry, Journal
from collector.websocket.opening import is_websocket, open_websocket
from collector.websocket.security import digest_of_token, read_tokens
from txwatch.clock import SystemClock
from txwatch.errors import ConfigurationError, InputError, StoreBusyError
from txwatch.ledger import Ledger
from txwatch.testing import MemoryStore

TOKEN = "till-token"
KEPT = timedelta(days=30)


class WatchedStore(MemoryStore):
    """Notes what was written, and is busy when told so."""

    def __init__(self, clock):
        super().__init__(clock)
        self.busy = False
        self.appended = 0

    def append(self, rows):
        if self.busy:
            raise StoreBusyError("busy")
        super().append(rows)
        self.appended += rows.height


class Bench:
    """A listener with its collector, stepped by hand."""

    def __init__(self, folder, authority, **settings):
        clock = SystemClock()
        self.store = WatchedStore(clock)
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", clock)
        self.environment = {
            "TXWATCH_LISTEN_TOKENS": f"till:{TOKEN},web:web-token",
            "TXWATCH_LISTEN_CERTIFICATE": authority.certificate,
            "TXWATCH_LISTEN_LIVE": "off",
        } | {f"TXWATCH_LISTEN_{name.upper()}": str(value) for name, value in settings.items()}
        self.source = open_websocket(
            "listen+wss://127.0.0.1:0", Schema(), self.ledger, clock.now, self.environment, folder, KEPT
        )
        self.service = CollectorService(self.source, self.store, self.store, self.ledger, clock)
        self.authority = authority

    def connect(self, token=TOKEN, **options):
        return connect(
            f"wss://127.0.0.1:{self.source._server.port}/",
            ssl=self.authority.client_context(),
            additional_headers={"Authorization": f"Bearer {token}"},
            proxy=None,
            **options,
        )

    def step_until(self, condition, seconds=10.0):
        until = time.monotonic() + seconds
        while not condition() and time.monotonic() < until:
            self.service.step()
            time.sleep(0.005)
        return condition()

    def close(self):
        self.service.close()
        self.ledger.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def listening(folder, authority, **settings):
    bench = Bench(folder, authority, **settings)
    try:
        yield bench
    finally:
        bench.close()


@pytest.fixture
def bench(tmp_path, authority):
    with listening(tmp_path, authority) as opened:
        yield opened


def envelope(name, *numbers):
    return json.dumps({"id": name, "messages": [message(n) for n in numbers]})


def message(number, timestamp="2026-03-02T12:00:00Z"):
    return {
        "transaction_id": f"t{number}",
        "timestamp": timestamp,
        "user_id": "u1",
        "merchant_id": "m1",
        "amount": 5.0,
        "currency": "EUR",
    }


def answer(connection, seconds=5.0):
    return json.loads(connection.recv(timeout=seconds))


def stored(bench):
    return bench.store.feed({}, 100_000)["transaction_id"].to_list()


def test_a_frame_is_acknowledged_after_the_write(bench):
    """Before the store took it there is no answer; afterwards the answer carries the frame's id."""
    with bench.connect() as producer:
        bench.store.busy = True
        producer.send(envelope("f1", 1, 2))
        bench.step_until(lambda: bench.service.health().state == "degraded")
        with pytest.raises(TimeoutError):
            producer.recv(timeout=0.3)
        bench.store.busy = False
        bench.step_until(lambda: bench.store.appended == 2)

        assert answer(producer) == {"ack": "f1", "messages": 2, "repeated": False}
        assert stored(bench) == ["t1", "t2"]


def test_a_repeated_frame_is_acknowledged_and_not_stored_again(bench):
    """After a lost acknowledgement the producer sends the same id again, on a new connection."""
    with bench.connect() as producer:
        producer.send(envelope("f1", 1))
        bench.step_until(lambda: bench.store.appended)
    with bench.connect() as producer:
        producer.send(envelope("f1", 1))
        producer.send(envelope("f2", 2))
        bench.step_until(lambda: bench.store.appended == 2)

        assert answer(producer) == {"ack": "f1", "messages": 1, "repeated": True}
        assert answer(producer)["ack"] == "f2"
    assert stored(bench) == ["t1", "t2"]


def test_the_same_id_twice_in_one_batch_is_stored_once(bench):
    """Both are acknowledged, after the one write."""
    with bench.connect() as one, bench.connect() as two:
        one.send(envelope("f1", 1))
        two.send(envelope("f1", 1))
        time.sleep(0.3)
        bench.step_until(lambda: bench.store.appended)

        assert {answer(one)["ack"], answer(two)["ack"]} == {"f1"}
    assert stored(bench) == ["t1"]


def test_ids_belong_to_a_producer(bench):
    """Two producers may use the same id for different messages."""
    with bench.connect() as till, bench.connect("web-token") as web:
        till.send(envelope("1", 1))
        web.send(envelope("1", 2))
        bench.step_until(lambda: bench.store.appended == 2)

        assert answer(till)["repeated"] is answer(web)["repeated"] is False
    assert sorted(stored(bench)) == ["t1", "t2"]


def test_an_id_with_other_messages_is_refused(bench):
    """Nothing is dropped silently: the producer is told that the id was taken."""
    with bench.connect() as producer:
        producer.send(envelope("f1", 1))
        bench.step_until(lambda: bench.store.appended)
        answer(producer)
        producer.send(envelope("f1", 2))
        bench.step_until(lambda: bench.source.figures()["refused_frames_total"])

        assert answer(producer) == {"refused": "f1", "why": "this id was used for other messages"}


def test_bad_messages_in_a_good_frame_go_to_quarantine(bench):
    """The frame is acknowledged: each of its messages is stored or in quarantine."""
    with bench.connect() as producer:
        producer.send(json.dumps({"id": "f1", "messages": [{"no": 1}, 7, message(3)]}))
        bench.step_until(lambda: bench.store.appended)

        assert answer(producer)["messages"] == 3
    assert [q.sequence for q in bench.store.quarantined()] == [1, 0]
    assert stored(bench) == ["t3"]


@pytest.mark.parametrize("frame", ["", "[]", '{"id": "", "messages": []}', '{"id": "x"}', b"\xff\xfe"])
def test_what_is_no_envelope_is_refused_and_the_connection_goes_on(bench, frame):
    """The producer is told why, and may send the next frame."""
    with bench.connect() as producer:
        producer.send(frame)
        refused = answer(producer)
        producer.send(envelope("good", 1))
        bench.step_until(lambda: bench.store.appended)

        assert refused["refused"] is None
        assert "no envelope" in refused["why"]
        assert answer(producer)["ack"] == "good"


@pytest.mark.parametrize("token", ["wrong", "", digest_of_token(TOKEN)])
def test_a_wrong_token_is_turned_away(bench, token):
    """Neither a guess, nor nothing, nor the kept hash itself opens the door."""
    with pytest.raises(InvalidStatus, match="401"), bench.connect(token):
        pass

    assert bench.source.figures()["refused_connections_total"] == 1.0


def test_more_producers_than_allowed_are_turned_away(tmp_path, authority):
    """One too many is told to come later."""
    with (
        listening(tmp_path, authority, connections=1) as bench,
        bench.connect(),
        pytest.raises(InvalidStatus, match="503"),
        bench.connect(),
    ):
        pass


def test_a_frame_that_is_too_long_ends_the_connection(tmp_path, authority):
    """Memory stays bounded whatever a producer sends."""
    with listening(tmp_path, authority, max_bytes=1000) as bench, bench.connect() as producer:
        producer.send(envelope("f1", *range(100)))
        with pytest.raises(ConnectionClosed, match="1009"):
            producer.recv(timeout=5)


def test_a_frame_with_too_many_messages_is_refused(tmp_path, authority):
    """The refusal carries the id, so that the producer can cut the frame."""
    with listening(tmp_path, authority, max_messages=2) as bench, bench.connect() as producer:
        producer.send(envelope("f1", 1, 2, 3))

        assert answer(producer)["refused"] == "f1"


def test_a_producer_that_runs_ahead_is_slowed_down_and_loses_nothing(tmp_path, authority):
    """With room for four frames and two of a connection, two hundred frames arrive, each once."""
    with listening(tmp_path, authority, frames=4, frames_each=2) as bench, bench.connect() as producer:
        for n in range(200):
            producer.send(envelope(f"f{n}", n))
        time.sleep(0.3)
        waiting = len(bench.source._server._line)
        bench.step_until(lambda: bench.store.appended == 200)

        assert waiting == 2
        assert [answer(producer)["ack"] for _ in range(200)] == [f"f{n}" for n in range(200)]
    assert stored(bench) == [f"t{n}" for n in range(200)]


def test_ids_and_numbers_survive_a_restart(tmp_path, authority):
    """A new process knows the frames of the old one and numbers behind them."""
    with listening(tmp_path, authority) as bench, bench.connect() as producer:
        producer.send(envelope("f1", 1, 2))
        bench.step_until(lambda: bench.store.appended)
        answer(producer)
    with listening(tmp_path, authority) as bench, bench.connect() as producer:
        producer.send(envelope("f1", 1, 2))
        producer.send(envelope("f2", 3))
        bench.step_until(lambda: bench.store.appended)

        assert [answer(producer)["repeated"], answer(producer)["repeated"]] == [True, False]
        assert bench.store.feed({}, 10)["sequence"].to_list() == [2]


def test_a_lost_journal_never_gives_a_number_again(tmp_path, authority):
    """The ledger knows the numbers too."""
    with listening(tmp_path, authority) as bench, bench.connect() as producer:
        producer.send(envelope("f1", 1, 2))
        bench.step_until(lambda: bench.store.appended)
        answer(producer)
    for file in tmp_path.glob("listener.db*"):
        file.unlink()
    with listening(tmp_path, authority) as bench, bench.connect() as producer:
        producer.send(envelope("f9", 9))
        bench.step_until(lambda: bench.store.appended)

        assert bench.store.feed({}, 10)["sequence"].to_list() == [2]


def test_frames_in_doubt_come_again_under_their_numbers(tmp_path):
    """What was entered and not settled is there after a restart; what was settled is only remembered."""

    def entry(first, name):
        return Entry(first=first, count=2, producer="p", id=name, digest=b"d", messages=[b"\xff", b"{}"])

    journal = Journal(tmp_path / "j.db", 10)
    journal.enter([entry(0, "a"), entry(2, "b")])
    journal.settle(2)
    journal.close()
    again = Journal(tmp_path / "j.db", 10)

    assert again.unsettled() == [entry(2, "b")]
    assert again.find("p", "a").messages is None
    assert again.following() == 4
    again.close()


def test_the_journal_forgets_the_oldest_frames(tmp_path):
    """Its size is bounded by the number of frames that it remembers."""
    journal = Journal(tmp_path / "j.db", 20)
    for n in range(100):
        journal.enter([Entry(first=n, count=1, producer="p", id=str(n), digest=b"", messages=[b"x"])])
        journal.settle(n + 1)
    known = [n for n in range(100) if journal.find("p", str(n))]
    journal.close()

    assert known[-20:] == list(range(80, 100))
    assert len(known) <= 24


def test_a_time_that_cannot_be_live_costs_its_frame_nothing_else(tmp_path, authority):
    """The frame is acknowledged; its other messages are stored under their own numbers."""
    now = datetime.now(UTC)
    times = [now - KEPT - timedelta(hours=1), now, now + timedelta(hours=1), now]
    messages = [message(n, when.isoformat()) for n, when in enumerate(times)]
    with listening(tmp_path, authority, live="on") as bench, bench.connect() as producer:
        producer.send(json.dumps({"id": "f1", "messages": messages}))
        bench.step_until(lambda: bench.store.counts()["quarantine"] == 2)

        assert answer(producer) == {"ack": "f1", "messages": 4, "repeated": False}
        found = bench.store.feed({}, 10).select("sequence", "transaction_id").rows()
        assert found == [(1, "t1"), (3, "t3")]
        refused = bench.store.quarantined(limit=None)
        assert sorted(each.sequence for each in refused) == [0, 2]
        assert {each.rejected.code for each in refused} == {"time_out_of_range"}


def test_listening_in_the_clear_is_for_loopback(tmp_path):
    """A certificate, or loopback, or an explicit setting."""
    environment = {"TXWATCH_LISTEN_TOKENS": "a:b"}

    def opened(address):
        return open_websocket(address, Schema(), None, SystemClock().now, environment, tmp_path)

    with pytest.raises(ConfigurationError, match="in the clear"):
        opened("listen+ws://0.0.0.0:0")
    with pytest.raises(ConfigurationError, match="needs a certificate"):
        opened("listen+wss://0.0.0.0:0")


def test_a_taken_port_is_one_sentence(tmp_path, authority, bench):
    """The second listener on a port says so."""
    port = bench.source._server.port
    with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{port}"):
        open_websocket(
            f"listen+wss://127.0.0.1:{port}",
            Schema(),
            bench.ledger,
            SystemClock().now,
            bench.environment,
            tmp_path / "..",
        )


def test_a_tokens_file_holds_hashes(tmp_path):
    """Lines of name and hash, comments allowed; anything else is refused with its line."""
    file = tmp_path / "tokens"
    file.write_text(f"# tills\ntill {digest_of_token('one')}\n\n")
    tokens = read_tokens(str(file), "web:two")

    assert [tokens.producer(f"Bearer {t}") for t in ("one", "two", "three")] == ["till", "web", None]
    file.write_text("till one\n")
    with pytest.raises(ConfigurationError, match="tokens:1"):
        read_tokens(str(file), "")


@pytest.mark.parametrize(
    ("address", "expected"),
    [("wss://a/b", True), ("listen+wss://0.0.0.0:1", True), ("kafka://a", False), ("a.csv", False)],
)
def test_addresses_are_recognised(address, expected):
    assert is_websocket(address) is expected


def test_no_columns_are_lost_on_the_way(bench):
    """The feed has what the message said."""
    with bench.connect() as producer:
        producer.send(envelope("f1", 1))
        bench.step_until(lambda: bench.store.appended)
        answer(producer)

    row = bench.store.feed({}, 10).row(0, named=True)
    assert (row["source"], row["partition"], row["amount"], row["status"]) == ("listener", 0, 5.0, "approved")
    assert isinstance(bench.store.feed({}, 1), pl.DataFrame)
