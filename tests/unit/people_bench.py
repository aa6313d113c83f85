"""A detector at work with the services that tell it what people say of anomalies and models."""

from datetime import timedelta
from pathlib import Path

import polars as pl
from rules_bench import Bench

from detectors.labelling import LabelsService
from detectors.models.service import ModelsService
from txwatch.model import Anomaly, AnomalyLabel, Verdict
from txwatch.ports import AnomalyQuery

RULES = """\
version: 1
base_currency: EUR
detectors:
  budget_per_day: 20
  forest: {warm_up: 300, refit_days: 1, trees: 10, sample_rows: 1024}
  traffic: {window_seconds: 3600}
"""
FEEDBACK = RULES.replace("detectors:\n", "detectors:\n  feedback: {delay_days: 1}\n")


class PeopleBench(Bench):
    """Steps the services in the order in which the commands do."""

    def __init__(self, folder: Path, rows: pl.DataFrame, text: str = RULES) -> None:
        super().__init__(folder, rows, text)

    def open(self) -> None:
        super().open()
        self.labels = LabelsService(self.detector, self.ledger, self.store, self.clock)
        self.models = ModelsService(self.detector, self.ledger, self.clock)

    def score(self, steps: int = 10_000) -> None:
        self.people()
        while steps and self.detector.step().handled:
            self.people()
            steps -= 1

    def people(self) -> None:
        self.clock.advance(timedelta(seconds=3))
        self.labels.step()
        self.models.step()

    def label(self, anomaly_id: str, verdict: Verdict) -> None:
        (found,) = [each for each in self.anomalies() if each.anomaly_id == anomaly_id]
        said = {"anomaly_id": anomaly_id, "transaction_id": found.transaction_id}
        self.ledger.label(AnomalyLabel(**said, verdict=verdict, by="ada"))

    def anomalies(self) -> list[Anomaly]:
        """What was found in transactions, by event time."""
        found = self.store.anomalies(AnomalyQuery(limit=None))
        return sorted((each for each in found if each.kind == "transaction"), key=lambda each: each.timestamp)

    def actions(self) -> list[str]:
        return [each.action for each in self.ledger.audited(0, 1000)]

    def scores(self) -> dict[str, float]:
        return {each.anomaly_id: each.score for each in self.anomalies()}
