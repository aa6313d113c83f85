"""A collector that listens, as a program that can be killed: prints its port, then what it does.

Usage: listening_collector.py FOLDER CERTIFICATE STOP; it stands still `before` or `after` its first write
to the store when STOP says so.
"""

import os
import sys
import time
from pathlib import Path

from collector.pipeline import CollectorService
from collector.schema import Schema
from collector.websocket.opening import open_websocket
from txwatch.clock import SystemClock
from txwatch.ledger import Ledger
from txwatch.stores.sqlite import SqliteStore


class HaltingStore(SqliteStore):
    """Stands still around a write, so that the kill comes at a known moment."""

    halt = ""

    def append(self, rows):
        if self.halt == "before":
            stand_still()
        super().append(rows)
        if self.halt == "after":
            stand_still()


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def stand_still():
    say("halted")
    time.sleep(600)


def main(folder, certificate, stop):
    clock = SystemClock()
    store = HaltingStore(folder / "store.db", clock, writer=True)
    store.halt = stop
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", clock)
    environment = {"TXWATCH_LISTEN_TOKENS": "till:token", "TXWATCH_LISTEN_CERTIFICATE": certificate}
    source = open_websocket(
        "listen+wss://127.0.0.1:0", Schema(), ledger, clock.now, os.environ | environment, folder
    )
    service = CollectorService(source, store, store, ledger, clock)
    say(str(source._server.port))
    while True:
        if service.step().handled == 0:
            time.sleep(0.01)


main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
