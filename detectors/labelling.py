"""The service that gives a running detector what people say of anomalies."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import msgspec
import polars as pl

from txwatch.columns import TRANSACTION
from txwatch.errors import StoreBusyError
from txwatch.model import Anomaly, LabelChange, Verdict
from txwatch.ports import AnomalyQuery, Clock, Health, Progress

EVERY = timedelta(seconds=2)
AT_ONCE: Final = 20
"""Labels that are looked up in one step."""
_COLUMNS = {name: TRANSACTION[name] for name in ("transaction_id", "timestamp", "user_id", "merchant_id")}


class Detector(Protocol):
    """The part of the detector that this service needs."""

    @property
    def replaying(self) -> bool:
        """Whether rows are scored again whose results are committed already."""

    @property
    def labels(self) -> int:
        """The number of the last label that was learnt."""

    def learn(self, frauds: pl.DataFrame, withdrawn: pl.DataFrame, number: int) -> None:
        """Learn labels up to a number, between two batches."""


class LabelLedger(Protocol):
    """The part of the ledger that this service needs."""

    def label_changes(self, after: int, limit: int) -> list[LabelChange]:
        """Return labels beyond a number, in order."""


class AnomalyStore(Protocol):
    """The part of the store that this service needs."""

    def anomalies(self, query: AnomalyQuery) -> Sequence[Anomaly]:
        """Return matching anomalies."""


class LabelsService:
    """Confirmed frauds leave the samples that models are fitted to, and speak where feedback is on.

    How far labels are learnt is part of the detector's state, and learning them is an act (`acts`): after a
    crash none is learnt twice, and what is scored again meets the same labels at the same place.
    """

    name = "labels"

    def __init__(self, detector: Detector, ledger: LabelLedger, store: AnomalyStore, clock: Clock) -> None:
        self._detector, self._ledger, self._store, self._clock = detector, ledger, store, clock
        self._looked_at: datetime | None = None
        self._counts = dict.fromkeys(("labels_total", "frauds_total", "withdrawn_total", "unknown_total"), 0)
        self._away = ""

    def step(self) -> Progress:
        """Look every two seconds; learn a few labels."""
        now = self._clock.now()
        if self._detector.replaying or (self._looked_at is not None and now - self._looked_at < EVERY):
            return Progress(handled=0, finished=True)
        changes = self._ledger.label_changes(self._detector.labels, AT_ONCE)
        try:
            if changes:
                self._learn(changes)
        except StoreBusyError as error:
            self._away = str(error)
            self._looked_at = now
            return Progress(handled=0, waiting=True)
        self._away = ""
        if len(changes) < AT_ONCE:
            self._looked_at = now
        return Progress(handled=len(changes), finished=True)

    def health(self) -> Health:
        """Return how many labels were learnt since the start."""
        counts = self._counts
        learnt = (
            f"{counts['labels_total']:,} labels learnt, {counts['frauds_total']:,} of them confirmed frauds"
        )
        return Health(
            name=self.name,
            state="degraded" if self._away else "ok",
            sentence=f"no labels are learnt meanwhile: {self._away}" if self._away else learnt,
            figures={name: float(count) for name, count in counts.items()},
        )

    def close(self) -> None:
        """Nothing is held: what was not learnt is at the next start."""

    def _learn(self, changes: Sequence[LabelChange]) -> None:
        net = _net(changes)
        frauds = self._payments([each for each in net if each.label.verdict is Verdict.FRAUD])
        withdrawn = self._payments([each for each in net if each.before is Verdict.FRAUD])
        self._detector.learn(_frame(frauds), _frame(withdrawn), changes[-1].number)
        self._counts["labels_total"] += len(changes)
        self._counts["frauds_total"] += len(frauds)
        self._counts["withdrawn_total"] += len(withdrawn)

    def _payments(self, changes: Sequence[LabelChange]) -> list[dict[str, Any]]:
        payments = []
        for change in changes:
            if change.label.transaction_id is None:
                continue
            found = self._store.anomalies(AnomalyQuery(anomaly_id=change.label.anomaly_id, limit=1))
            if found:
                payments.append({name: getattr(found[0], name) for name in _COLUMNS})
            else:
                self._counts["unknown_total"] += 1
        return payments


def _net(changes: Sequence[LabelChange]) -> list[LabelChange]:
    """Return one change for each anomaly that is another after these labels than before."""
    first = {change.label.anomaly_id: change.before for change in reversed(changes)}
    last = {change.label.anomaly_id: change for change in changes}
    whole = [msgspec.structs.replace(change, before=first[key]) for key, change in last.items()]
    return [change for change in whole if change.label.verdict is not change.before]


def _frame(payments: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(payments, schema=_COLUMNS)
