"""A detector to which something is done at every batch, as a program that can be killed.

Usage: acting_detector.py FOLDER N; it stands still once its N-th act is recorded and not yet in effect (0:
never).  What is done where depends on the batch alone, so every run of the same rows ends in the same state,
which it writes to FOLDER/state.  Says `ready` when it begins, and `halted` when it stands still.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from detectors.configuration import known_configuration
from detectors.recalling import recalled
from detectors.service import CONSUMER, DetectorService
from txwatch.clock import SystemClock
from txwatch.ledger import Ledger
from txwatch.stores import open_store

BATCH = 400
FIRST = """\
version: 1
base_currency: EUR
features:
  payments_1h: {count: "*", by: user_id, window: 1h}
rules:
  - {id: large, when: amount > 300, severity: high, message: "{amount} is large"}
  - {id: often, when: payments_1h > 2, severity: medium, message: "{payments_1h} payments"}
detectors:
  budget_per_day: 20
  feedback: {delay_days: 1}
  forest: {warm_up: 300, refit_days: 1, trees: 10, sample_rows: 1024}
  traffic: {window_seconds: 3600}
"""
TEXTS = (
    FIRST,
    FIRST.replace("amount > 300", "amount > 250"),
    FIRST.replace("by: user_id, window: 1h", "by: user_id, window: 2h"),
)


class HaltingLedger(Ledger):
    """Stands still between an act's record and its effect, so that the kill comes at a known moment."""

    halt = 0
    recorded = 0

    def record_act(self, consumer, cursors, document):
        number = super().record_act(consumer, cursors, document)
        self.recorded += 1
        if self.recorded == self.halt:
            say("halted")
            time.sleep(600)
        return number


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def act(detector, ledger, store, path):
    """Do what belongs to this batch and is not done yet: other rules, labels, a model."""
    batch = sum(cursor.sequence + 1 for cursor in ledger.cursors(CONSUMER).values()) // BATCH
    wanted = known_configuration(path, TEXTS[batch % len(TEXTS)].encode())
    if detector.configuration.version != wanted.version:
        ledger.rules().edited(wanted.as_version("ada", "as asked"))
        detector.change(wanted, trusted=False, planned={"all": 0.1})
    if detector.labels < batch:
        frauds = store.feed({}, batch * BATCH)[-3:]
        named = frauds.select("transaction_id", "timestamp", "user_id", "merchant_id")
        detector.learn(named, named[:0], batch)
    models = ledger.models().listed()
    if batch % 5 == 0 and models:
        first = models[-1]
        (forest,) = detector._detection._engine._fitted
        if forest.model != first.version:
            detector.install(first.name, ledger.models().payload(first.number), held=False)


def main(folder, halt):
    path, clock = folder / "rules.yaml", SystemClock()
    path.write_text(FIRST)
    store = open_store(f"sqlite:///{folder / 'store.db'}", clock, writer=False)
    ledger = HaltingLedger.open(f"sqlite:///{folder / 'ledger.db'}", clock)
    ledger.halt = halt
    known = recalled(ledger, path, require_apply=False)
    detector = DetectorService(
        store,
        ledger,
        known.detection,
        clock,
        at=known.at,
        pending=known.pending,
        aside=ThreadPoolExecutor(1),
        batch=BATCH,
        snapshot_seconds=0.2,
    )
    say("ready")
    while detector.step().handled:
        if not detector.replaying:
            act(detector, ledger, store, path)
    (folder / "state").write_bytes(detector._detection.dump())
    detector.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
