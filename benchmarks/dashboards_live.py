"""A month's store in use: `txwatch run` takes in, judges and tells of payments that happen now."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import ingest
from busy_world import BusyWorld, rules_with_mark
from whole_path import start

from txwatch.stores.influx.connection import Access

STARTING_SECONDS = 20.0
PIECE_SECONDS = 0.1


@contextlib.contextmanager
def live(access: Access, rate: int, home: Path) -> Iterator[None]:
    """Have so many payments a second come in, all the time; raises SystemExit if txwatch ends before."""
    rules = home / "rules.yaml"
    rules.write_text(rules_with_mark(ingest.ROOT / "rules.yaml"))
    producer = subprocess.Popen([sys.executable, __file__, str(rate)], stdout=subprocess.PIPE)
    settings = {"TXWATCH_RULES": str(rules), "TXWATCH_PSEUDONYM_KEY": "62" * 32}
    txwatch = start(["run", "-"], access, home, stdin=producer.stdout, **settings)
    try:
        time.sleep(STARTING_SECONDS)
        yield
        if txwatch.poll() is not None:
            raise SystemExit((home / "run.log").read_text())
    finally:
        for process in (producer, txwatch):
            process.terminate()
            process.wait()


def produce(rate: int) -> None:
    """Print payments as they happen."""
    stamp = str(time.time_ns())
    world, begun, sent = BusyWorld(rate, datetime.now(UTC)), time.time(), 0
    while True:
        elapsed = time.time() - begun
        for text in world.messages(sent, int(elapsed * rate), elapsed, stamp):
            print(text)
        sys.stdout.flush()
        sent = int(elapsed * rate)
        time.sleep(PIECE_SECONDS)


if __name__ == "__main__":
    produce(int(sys.argv[1]))
