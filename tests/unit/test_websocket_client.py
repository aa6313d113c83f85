"""A WebSocket server as a source, against real servers on loopback with a private authority."""

import json
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from private_authority import Authority
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from collector.schema import Schema
from collector.websocket.backoff import CAP_SECONDS, wait_seconds
from collector.websocket.client import RESERVED, WebSocketSource, source_name
from collector.websocket.frames import messages_of
from collector.websocket.settings import client_settings
from txwatch.clock import SystemClock
from txwatch.errors import ConfigurationError, InputError
from txwatch.ledger import Ledger
from txwatch.model import Partition

TOKEN = "a-long-random-token"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", SystemClock())
    yield opened
    opened.close()


def message(number, **fields):
    return {
        "transaction_id": f"t{number}",
        "timestamp": "2026-03-02T12:00:00Z",
        "user_id": "u1",
        "merchant_id": "m1",
        "amount": 5.0,
        "currency": "EUR",
        **fields,
    }


class FeedServer:
    """Sends frames to whoever shows the token; notes the paths that were asked for."""

    def __init__(self, authority, frames, port=0):
        self.paths, self.frames = [], list(frames)
        self.server = serve(
            self._send, "127.0.0.1", port, ssl=authority.server_context(), process_request=self._admit
        )
        self.port = self.server.socket.getsockname()[1]
        self.url = f"wss://localhost:{self.port}/feed"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.connections = []

    def _admit(self, connection, request):
        self.paths.append(request.path)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return connection.respond(401, "no\n")
        return None

    def _send(self, connection):
        self.connections.append(connection)
        try:
            for frame in self.frames:
                connection.send(frame)
            connection.recv()
        except ConnectionClosed:
            return

    def close(self):
        for connection in self.connections:
            connection.socket.close()
        self.server.shutdown()
        self.thread.join()


@contextmanager
def serving(authority, frames, port=0):
    server = FeedServer(authority, frames, port)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def calling(url, authority, ledger, *, live=False, **changed):
    environment = {"TXWATCH_WEBSOCKET_TOKEN": TOKEN, "TXWATCH_WEBSOCKET_CA_FILE": authority.ca} | {
        f"TXWATCH_WEBSOCKET_{name.upper()}": value for name, value in changed.items()
    }
    source = WebSocketSource(
        url,
        client_settings(environment),
        Schema(),
        positions=ledger.positions,
        reserve=ledger.commit_positions,
        now=SystemClock().now,
        luck=lambda: 0.0,
        keep=timedelta(days=30) if live else None,
    )
    try:
        yield source
    finally:
        source.close()


def gather(source, count, seconds=10.0):
    """Read until so many messages came; returns the reads that gave something."""
    found, got, until = [], 0, time.monotonic() + seconds
    while got < count and time.monotonic() < until:
        part = source.read(1000)
        if part.positions:
            found.append(part)
            got += part.rows.height + len(part.rejected)
        time.sleep(0.01)
    return found


def ids(parts):
    return [name for part in parts for name in part.rows["transaction_id"]]


def test_a_frame_is_one_message_or_an_array_of_messages(authority, ledger):
    """Good ones become rows, bad ones rejections, each with a number of its own."""
    frames = [json.dumps(message(0)), json.dumps([message(1), message(2)]), b"\xff{", json.dumps([{"no": 1}])]
    with serving(authority, frames) as server, calling(server.url, authority, ledger) as source:
        parts = gather(source, 5)

    numbers = sorted(
        [n for p in parts for n in p.rows["sequence"]] + [r.sequence for p in parts for r in p.rejected]
    )
    assert ids(parts) == ["t0", "t1", "t2"]
    assert numbers == [0, 1, 2, 3, 4]
    assert {r.rejected.code for p in parts for r in p.rejected} == {"not_json", "missing_field"}


def test_a_time_that_cannot_be_live_is_refused(authority, ledger):
    """A year that is not to come opens no partition of the store."""
    frames = [json.dumps(message(0, timestamp="2098-01-01T00:00:00Z"))]
    with (
        serving(authority, frames) as server,
        calling(server.url, authority, ledger, live=True) as source,
    ):
        (part,) = gather(source, 1)

    assert [r.rejected.code for r in part.rejected] == ["time_out_of_range"]


def test_a_certificate_of_an_unknown_authority_is_refused(authority, ledger, tmp_path):
    """Verification is on: another authority's server is not listened to, and the sentence says why."""
    other = Authority(tmp_path / "other")
    with (
        serving(authority, [json.dumps(message(0))]) as server,
        calling(server.url, other, ledger) as source,
        pytest.raises(InputError, match="certificate is not trusted"),
    ):
        gather(source, 1)

    assert server.paths == []


def test_a_wrong_token_is_refused_at_once(authority, ledger):
    """A refusal that waiting does not cure ends the source with a sentence, without the token in it."""
    with (
        serving(authority, []) as server,
        calling(server.url, authority, ledger, token="wrong") as source,
        pytest.raises(InputError, match="HTTP 401") as caught,
    ):
        gather(source, 1)

    assert "wrong" not in str(caught.value)


def test_it_connects_again_after_the_server_died(authority, ledger):
    """A server that dies and comes back on the same port is found again; numbers go on."""
    with (
        serving(authority, [json.dumps(message(0))]) as first,
        calling(first.url, authority, ledger) as source,
    ):
        before = gather(source, 1)
        port = first.port
        first.close()
        with serving(authority, [json.dumps(message(1))], port):
            after = gather(source, 1)

        assert ids(before + after) == ["t0", "t1"]
        assert after[0].rows["sequence"].to_list() == [1]
        assert source.figures()["connections_total"] == 2.0


def test_numbers_are_set_aside_before_they_are_used(authority, ledger):
    """After a crash the next process never gives a used number to another message."""
    with serving(authority, [json.dumps(message(0))]) as server:
        with calling(server.url, authority, ledger, source="s") as source:
            gather(source, 1)
        with calling(server.url, authority, ledger, source="s") as source:
            (again,) = gather(source, 1)

    assert again.rows["sequence"].to_list() == [1 + RESERVED]
    assert ledger.positions("s")[Partition("s", 0)] > 1 + RESERVED


def test_a_server_with_numbers_is_asked_to_go_on_and_repeats_are_dropped(authority, ledger):
    """The resume parameter carries the committed place; what was seen already is not taken twice."""
    ledger.commit_positions({Partition("s", 1): 7})
    frames = [json.dumps([message(n, seq=n) for n in (5, 6, 7, 8)])]
    with serving(authority, frames) as server:
        url = server.url + "?since={sequence}"
        with calling(url, authority, ledger, source="s", sequence_field="seq") as source:
            parts = gather(source, 2)
            repeated = source.figures()["repeated_total"]

    assert server.paths == ["/feed?since=7"]
    assert ids(parts) == ["t7", "t8"]
    assert parts[-1].positions == {Partition("s", 1): 9}
    assert repeated == 2.0


def test_a_full_buffer_stops_the_reading_and_loses_nothing(authority, ledger):
    """With room for two frames, memory stays bounded and all of three hundred frames arrive."""
    frames = [json.dumps(message(n)) for n in range(300)]
    with serving(authority, frames) as server, calling(server.url, authority, ledger, frames="2") as source:
        time.sleep(0.5)
        waiting = source.figures()["waiting_frames"]
        parts = gather(source, 300, seconds=30)

    assert waiting == 2.0
    assert ids(parts) == [f"t{n}" for n in range(300)]


def test_reading_never_waits(authority, ledger):
    """A server that says nothing gives empty reads at once."""
    with serving(authority, []) as server, calling(server.url, authority, ledger) as source:
        begin = time.monotonic()
        parts = [source.read(10) for _ in range(20)]

        assert time.monotonic() - begin < 1.0
        assert not any(part.positions or part.finished for part in parts)


@pytest.mark.parametrize("host", ["203.0.113.9", "feed.example.org"])
def test_plain_connections_leave_the_machine_only_when_allowed(authority, ledger, host):
    """Tokens and transactions are not sent in the clear by accident."""
    with (
        pytest.raises(ConfigurationError, match="in the clear"),
        calling(f"ws://{host}/feed", authority, ledger),
    ):
        pass


def test_a_resume_parameter_needs_the_servers_numbers(authority, ledger):
    """Our own numbers mean nothing to a server."""
    with (
        pytest.raises(ConfigurationError, match="SEQUENCE_FIELD"),
        calling("wss://localhost:1/?since={sequence}", authority, ledger),
    ):
        pass


def test_the_wait_doubles_up_to_a_cap_and_is_spread():
    """Attempt by attempt it grows, and luck spreads it over its upper half."""
    waits = [wait_seconds(n, 1.0) for n in range(12)]

    assert waits[:4] == [0.25, 0.5, 1.0, 2.0]
    assert waits[-1] == CAP_SECONDS
    assert wait_seconds(3, 0.0) == waits[3] / 2


def test_settings_do_not_show_the_token():
    """What is logged of the settings holds no secret."""
    assert TOKEN not in repr(client_settings({"TXWATCH_WEBSOCKET_TOKEN": TOKEN}))
    assert source_name("wss://feed.example.org:8443/a?key=secret") == "feed.example.org:8443/a"


@pytest.mark.parametrize("frame", [b"", b"[", b"[1, 2", b'{"a": 1}', b"\xff", b"[" * 100_000])
def test_any_bytes_are_at_least_one_message(frame):
    """A broken array is one message, which the decoder rejects; nothing is dropped."""
    assert messages_of(frame) == [frame]


def test_a_server_that_is_silent_but_alive_is_kept(authority, ledger):
    """A ping that is answered keeps the connection; nothing is connected anew."""
    with (
        serving(authority, []) as server,
        calling(server.url, authority, ledger, ping_seconds="0.4") as source,
    ):
        gather(source, 1, seconds=2.5)

        assert source.figures()["connections_total"] == 1.0
        assert source.trouble == ""
