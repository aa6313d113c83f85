"""A rules file with a detector, a store and a ledger behind it, as the commands open them."""

import json
from datetime import timedelta
from pathlib import Path

import polars as pl

from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import Simulation
from detectors.configuration import known_configuration
from detectors.recalling import recalled
from detectors.reloading import RulesService
from detectors.service import DetectorService
from txwatch.columns import TRANSACTION
from txwatch.ledger import Ledger
from txwatch.ports import AnomalyQuery
from txwatch.testing import AtOnce, ManualClock, MemoryStore

TWO = """\
version: 1
base_currency: EUR
features:
  payments_1h: {count: "*", by: user_id, window: 1h}
  cards_1h: {distinct: card_id, by: device_id, window: 1h}
rules:
  - {id: large, when: amount > 300, severity: high, message: "{amount} is large"}
  - {id: often, when: payments_1h > 2, severity: medium, message: "{payments_1h} payments"}
detectors:
  threshold: 100
  traffic: {window_seconds: 3600}
"""
"""Only rules find something: no score gets to 100."""


def two_days() -> pl.DataFrame:
    """Two simulated days with their place in a feed."""
    return simulated(2)


def simulated(days: int) -> pl.DataFrame:
    """Simulated days with their place in a feed."""
    settings = SimulationSettings(seed=3, users=300, merchants=60, days=days, frauds_per_day=8)
    rows = pl.concat([day.transactions for day in Simulation(settings).days()])
    return rows.select(
        pl.lit("simulator").alias("source"),
        pl.lit(0, dtype=pl.Int32).alias("partition"),
        pl.int_range(rows.height, dtype=pl.Int64).alias("sequence"),
        *TRANSACTION,
    )


class Bench:
    """A rules file, a store with rows, a ledger; a detector with its rules service, opened as commands do."""

    def __init__(
        self, folder: Path, rows: pl.DataFrame, text: str = TWO, *, require_apply: bool = False
    ) -> None:
        self.require_apply = require_apply
        self.path = folder / "rules.yaml"
        self.path.write_text(text)
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.store.append(rows)
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", self.clock)
        self.open()

    def open(self) -> None:
        known = recalled(self.ledger, self.path, require_apply=self.require_apply)
        self.detector = DetectorService(
            self.store,
            self.ledger,
            known.detection,
            self.clock,
            at=known.at,
            pending=known.pending,
            aside=AtOnce(),
            batch=400,
            snapshot_seconds=1e9,
        )
        self.rules = RulesService(
            self.path,
            self.detector,
            self.ledger,
            self.clock,
            AtOnce(),
            require_apply=self.require_apply,
        )
        self.rules.catch_up()

    def edit(self, text: str) -> None:
        self.path.write_text(text)
        self.look()

    def apply(self, text: str) -> None:
        """Put other rules into force, as `txwatch rules apply` does."""
        configuration = known_configuration(self.path, text.encode())
        self.ledger.rules().applied(configuration.as_version("ada", "as asked"))
        self.look()

    def look(self) -> None:
        """Two looks, and what they lead to."""
        for _ in range(3):
            self.clock.advance(timedelta(seconds=1))
            self.rules.step()

    def score(self, steps: int = 10_000) -> None:
        self.rules.step()
        while steps and self.detector.step().handled:
            self.rules.step()
            steps -= 1

    def found(self) -> dict[str, list[str]]:
        """Which rules hit, by anomaly."""
        return {
            a.anomaly_id: sorted(a.rules)
            for a in self.store.anomalies(AnomalyQuery(limit=None))
            if a.kind == "transaction"
        }

    def told(self) -> list[str]:
        """What was told about the configuration, in order of discovery."""
        entries = (json.loads(entry.document) for entry in self.ledger.discovered(0, 100_000))
        return [each["reasons"][0]["sentence"] for each in entries if each["kind"] == "configuration"]

    def versions(self) -> list[tuple[int, str]]:
        """Number and author of what was in force, in order."""
        return [(each.number, each.actor) for each in reversed(self.ledger.rules().newest())]

    def actions(self) -> list[str]:
        """What the audit says of rules."""
        said = [each.action for each in self.ledger.audited(0, 1000)]
        return [action for action in said if not action.startswith("model ")]
