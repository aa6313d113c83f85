"""A detector at work to which things are done, and which may die at any moment."""

from datetime import UTC, datetime

from people_bench import FEEDBACK, PeopleBench

from detectors.service import CONSUMER
from txwatch.model import Verdict
from txwatch.registry import ModelOrder

SEVERE = FEEDBACK.replace("budget_per_day: 20", "budget_per_day: 60")
OTHER = FEEDBACK.replace("detectors:\n", "detectors:\n  threshold: 40\n")


class ActsBench(PeopleBench):
    """Does what people do at given batches; may die at any moment, and start again."""

    def __init__(self, folder, rows):
        folder.mkdir()
        super().__init__(folder, rows, FEEDBACK)

    def die(self):
        """The process is gone; another one scores again what was committed."""
        self.open()
        while self.detector.replaying:
            self.detector.step()

    def label_all(self):
        """Everything that was found is a fraud."""
        for each in self.anomalies():
            self.label(each.anomaly_id, Verdict.FRAUD)
        self.people()

    def order(self, model=1):
        """A model is to count, if there is one yet."""
        if not self.ledger.models().listed():
            return
        self.ledger.models().order(ModelOrder(model=model, held=True, actor="ada", reason="as asked"))
        self.people()

    def looked_at(self):
        everything = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        return self.ledger.coverage().between(*everything)

    def keep(self):
        """A snapshot is taken by its time."""
        self.detector._keeping._every_seconds = 0.0
        self.detector.step()
        self.detector._keeping.wait()
        self.detector._keeping._every_seconds = 1e9

    @property
    def state(self):
        return self.detector._detection.dump()

    def acts(self):
        return self.ledger.acts(CONSUMER, 0)
