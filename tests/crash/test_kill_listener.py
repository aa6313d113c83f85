"""SIGKILL between the journal, the store and the acknowledgement: redelivered, and stored once."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from private_authority import Authority
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from txwatch.clock import SystemClock
from txwatch.stores.sqlite import SqliteStore

PROGRAM = Path(__file__).with_name("listening_collector.py")


@contextmanager
def collector(folder, authority, stop):
    """Run the program; yields its port, and a function that waits for its next line."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), authority.certificate, stop],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield int(process.stdout.readline()), process.stdout.readline
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def producing(port, authority):
    return connect(
        f"wss://127.0.0.1:{port}/",
        ssl=authority.client_context(),
        additional_headers={"Authorization": "Bearer token"},
        proxy=None,
    )


def envelope(name, *numbers):
    messages = [
        {
            "transaction_id": f"t{n}",
            "timestamp": "2026-03-02T12:00:00Z",
            "user_id": "u1",
            "merchant_id": "m1",
            "amount": 5.0,
            "currency": "EUR",
        }
        for n in numbers
    ]
    return json.dumps({"id": name, "messages": messages})


@pytest.mark.parametrize("stop", ["before", "after"])
def test_a_kill_between_write_and_acknowledgement_stores_a_frame_once(tmp_path, stop):
    """The producer heard nothing and sends again, other frames first; each message is there once."""
    authority = Authority(tmp_path / "authority")
    with collector(tmp_path, authority, stop) as (port, next_line), producing(port, authority) as producer:
        producer.send(envelope("f1", 1, 2))
        assert next_line() == "halted\n"
        with pytest.raises(TimeoutError):
            producer.recv(timeout=0.2)
    with pytest.raises(ConnectionClosed):
        producer.recv(timeout=5)
    with collector(tmp_path, authority, "never") as (port, _), producing(port, authority) as producer:
        producer.send(envelope("f2", 3))
        producer.send(envelope("f1", 1, 2))
        acknowledged = {json.loads(producer.recv(timeout=10))["ack"] for _ in range(2)}

    store = SqliteStore(tmp_path / "store.db", SystemClock(), writer=False)
    found = store.feed({}, 100)["transaction_id"].to_list()
    store.close()
    assert acknowledged == {"f1", "f2"}
    assert found == ["t1", "t2", "t3"]
