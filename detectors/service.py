"""The detector at work: reads the feed, scores it, writes anomalies back, commits."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Protocol

import polars as pl

from detectors.acts import Act, LabelsLearnt, ModelInstalled, Pending, RulesChanged, brought_by, written
from detectors.detection import Configuration, Detection, Findings
from detectors.guard import Guard
from detectors.keeping import Keeping, Kept, Place, SnapshotLedger
from detectors.splitting import is_behind, last_cursors, split_at, until
from txwatch.coverage import Counted
from txwatch.errors import StoreBusyError
from txwatch.model import Anomaly, Cursor, Mode, Partition
from txwatch.ports import Clock, Health, Progress, Store
from txwatch.registry import ModelChange

CONSUMER = "detectors"


class DetectionLedger(SnapshotLedger, Protocol):
    """The part of the ledger that a detector needs."""

    def cursors(self, consumer: str) -> dict[Partition, Cursor]:
        """Return how far the consumer's results are committed."""

    def commit_step(
        self,
        consumer: str,
        cursors: Mapping[Partition, Cursor],
        anomalies: Sequence[Anomaly],
        looked_at: Counted = ...,
    ) -> None:
        """In one transaction: move the cursors, queue the new anomalies, add what was looked at."""

    def record_act(self, consumer: str, cursors: Mapping[Partition, Cursor], document: bytes) -> int:
        """Write down what is about to be done at these cursors; return its number."""

    def models(self) -> "ModelShelf":
        """Return the part that keeps fitted models."""


class ModelShelf(Protocol):
    """The part of the ledger that keeps fitted models."""

    def changed(self, changes: Sequence[ModelChange]) -> object:
        """Keep what happened to them; what is known already stays."""


class DetectorService:
    """Scores every transaction of the feed once, whatever dies on the way.

    1. Read the feed beyond the cursors; score it; the state moves on in memory.
    2. Write anomalies and series windows to the store (idempotent: ids depend on the message alone).
    3. In one ledger transaction: move the committed cursors, queue the new anomalies, and add for each
       detector what it looked at (`covering`), which so is counted once.
    4. Every `snapshot_seconds`, after a quiet second, and on closing, keep the state together with its
       cursors: a copy is taken between two batches and written aside (`keeping`).
    5. What else changes the state (other rules, labels, a model that counts) is an act between two batches:
       recorded in the ledger with the cursors, then done (`acts`).  No state is awaited.

    After a crash the state comes back from the last snapshot and the rows up to the committed cursors
    are scored again, to the same result, but neither written nor queued a second time; the acts since the
    snapshot take effect at the same rows as before.  No snapshot is taken between 1 and 3: one that is
    ahead of what was written would lose it.
    """

    name = "detectors"

    def __init__(
        self,
        store: Store,
        ledger: DetectionLedger,
        detection: Detection,
        clock: Clock,
        *,
        at: Place,
        pending: Sequence[Pending] = (),
        aside: Executor,
        batch: int = 1000,
        snapshot_seconds: float = 10.0,
    ) -> None:
        """`detection` is the state that belongs to the place `at`; `pending` are the acts beyond it.

        `aside` has one thread and writes snapshots; it is ended with the service.
        """
        self._store = store
        self._ledger = ledger
        self._models = ledger.models()
        self._detection = detection
        self._clock = clock
        self._batch = batch
        self._cursors, self._act = dict(at.cursors), at.act
        self._pending = list(pending)
        self._committed = ledger.cursors(CONSUMER)
        self._replaying = is_behind(self._cursors, self._committed)
        self._unwritten: Findings | None = None
        self._told: list[Anomaly] = []
        self._away = ""
        self._keeping = Keeping(CONSUMER, ledger, clock, aside, at=at, every_seconds=snapshot_seconds)
        self._counts = dict.fromkeys(("transactions_total", "anomalies_total", "replayed_total"), 0)
        self._closed = False

    @property
    def configuration(self) -> Configuration:
        """What is in force; while rows are scored again, what will be then."""
        return brought_by(self._pending) or self._detection.configuration

    @property
    def guard(self) -> Guard:
        """What watches the last change."""
        return self._detection.guard

    @property
    def replaying(self) -> bool:
        """Whether the state is not where the committed results are: behind them, or ahead of a write."""
        return self._replaying or bool(self._pending) or self._unwritten is not None

    def step(self) -> Progress:
        """Score the next batch of the feed; committed rows make a step of their own.

        While the store is away nothing is scored; what was scored and not written is written first.
        """
        try:
            progress = self._step()
        except StoreBusyError as error:
            self._away = str(error)
            return Progress(handled=0, waiting=True)
        self._away = ""
        return progress

    def _step(self) -> Progress:
        self._write()
        self._write_told()
        rows = self._store.feed(self._cursors, self._batch)
        parts = split_at(self._before_next_act(rows), self._committed)
        for part, known in parts[:1]:
            self._score(part, known=known)
        self._replaying = self._replaying and bool(parts) and is_behind(self._cursors, self._committed)
        self._keeping.step(self._place(), lambda: kept(self._detection), idle=rows.is_empty())
        return Progress(handled=rows.height, finished=True)

    def change(
        self, configuration: Configuration, *, trusted: bool, planned: Mapping[str, float]
    ) -> list[str]:
        """Put another configuration into force between two batches; return what begins anew.

        It is watched unless it is `trusted`; its guard expects the shares of anomalies that were `planned`.
        The ledger must have the version: what is scored again after a crash is scored under the one that was
        in force.
        """
        act = RulesChanged(version=configuration.version, trusted=trusted, planned=dict(planned))
        self._record(act)
        self._detection, anew = act.apply(self._detection, configuration)
        return anew

    @property
    def labels(self) -> int:
        """The number of the last label that was learnt."""
        return self._detection.labels

    def learn(self, frauds: pl.DataFrame, withdrawn: pl.DataFrame, number: int) -> None:
        """Learn labels between two batches, see `Detection.learn`; they are learnt once, whatever crashes."""
        act = LabelsLearnt.of(frauds, withdrawn, number)
        self._record(act)
        act.apply(self._detection)

    def install(self, name: str, payload: bytes, *, held: bool) -> None:
        """Let a kept model count from the next batch on, also where rows are scored again after a crash.

        Raises SnapshotError where it is damaged or of another shape; then nothing has changed.
        """
        act = ModelInstalled(name=name, payload=payload, held=held)
        self._record(act)
        act.apply(self._detection)

    def tell(self, anomaly: Anomaly) -> None:
        """Store an anomaly about the detection itself, and queue it, with the next step."""
        self._told.append(anomaly)

    def faults(self) -> list[str]:
        """Return what is set aside, in sentences."""
        return self._detection.faults()

    def health(self) -> Health:
        """Return the counts since the start, and what the detection says of itself."""
        counts = self._counts
        faults = [*self.faults(), *self._detection.missed()]
        if self._away:
            faults.append(f"the store is away, nothing is scored meanwhile: {self._away}")
        return Health(
            name=self.name,
            state="degraded" if faults else "ok",
            sentence="; ".join(faults)
            or f"{counts['transactions_total']:,} scored, {counts['anomalies_total']:,} anomalies",
            figures={name: float(count) for name, count in counts.items()}
            | {"runs_total": float(self._detection.runs)}
            | {"snapshots_total": float(self._keeping.recorded)},
        )

    def close(self) -> None:
        """Keep the state, so that the next start replays nothing; after a refused write it replays."""
        if self._closed:
            return
        self._closed = True
        try:
            self._keeping.wait()
            if self._unwritten is None:
                self._keeping.keep_last(self._place(), lambda: standing(self._detection))
        finally:
            self._keeping.close()

    def _place(self) -> Place:
        return Place(cursors=dict(self._cursors), act=self._act)

    def _record(self, act: Act) -> None:
        self._act = self._ledger.record_act(CONSUMER, self._cursors, written(act))

    def _before_next_act(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Let acts that the state lacks take effect at their rows; return the rows before the next of them.

        After the last of them other services have their turn before anything new is scored.
        """
        if not self._pending:
            return rows
        while self._pending:
            before = until(rows, self._pending[0].cursors)
            if not before.is_empty():
                return before
            act = self._pending.pop(0)
            self._detection, self._act = act.apply(self._detection), act.number
        return until(rows, self._committed)

    def _score(self, rows: pl.DataFrame, *, known: bool) -> None:
        findings = self._detection.step(rows, self._clock.now)
        self._cursors.update(last_cursors(rows))
        if known:
            self._models.changed(findings.models)
            self._counts["replayed_total"] += rows.height
            return
        self._counts["transactions_total"] += rows.height
        self._unwritten = findings
        self._write()

    def _write(self) -> None:
        findings = self._unwritten
        if findings is None:
            return
        if findings.anomalies:
            self._store.put_anomalies(findings.anomalies)
        if findings.points:
            self._store.put_series(findings.points)
        self._ledger.commit_step(CONSUMER, self._cursors, findings.anomalies, findings.looked_at)
        self._models.changed(findings.models)
        self._committed, self._unwritten = dict(self._cursors), None
        self._counts["anomalies_total"] += sum(_counts(each) for each in findings.anomalies)

    def _write_told(self) -> None:
        if self._told:
            self._store.put_anomalies(self._told)
            self._ledger.commit_step(CONSUMER, self._committed, self._told)
            self._counts["anomalies_total"] += len(self._told)
            self._told = []


def _counts(anomaly: Anomaly) -> bool:
    return anomaly.mode is not Mode.CANARY and anomaly.revision == 0


def kept(detection: Detection) -> Kept:
    """Return a copy of a detection's state."""
    return Kept(encode=detection.copied(), version=detection.version)


def standing(detection: Detection) -> Kept:
    """Return a detection's state without copying it, to be written while nothing is scored."""
    return Kept(encode=detection.pieces, version=detection.version)
