"""The detector at work: reads the feed, scores it, writes anomalies back, commits."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Protocol

import numpy as np
import polars as pl

from detectors.detection import Configuration, Detection, Findings
from detectors.guard import Guard
from detectors.keeping import Keeping, Kept
from txwatch.coverage import Counted
from txwatch.errors import StoreBusyError
from txwatch.ledger.snapshots import Written
from txwatch.model import Anomaly, Cursor, Mode, Partition
from txwatch.ports import Clock, Health, Progress, Store
from txwatch.registry import ModelChange

CONSUMER = "detectors"


class Snapshot(Protocol):
    """What the ledger kept of an earlier run."""

    cursors: Mapping[Partition, Cursor]
    payload: bytes


class DetectionLedger(Protocol):
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

    def write_snapshot(self, consumer: str, payload: Iterable[bytes]) -> Written:
        """Write a state to a file; may be called in any thread."""

    def record_snapshot(
        self, consumer: str, cursors: Mapping[Partition, Cursor], written: Written, version: str
    ) -> None:
        """Make a written state the newest one, for these cursors."""

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

    After a crash the state comes back from the last snapshot and the rows up to the committed cursors
    are scored again, to the same result, but neither written nor queued a second time.  No snapshot is
    taken between 1 and 3: one that is ahead of what was written would lose it.
    """

    name = "detectors"

    def __init__(
        self,
        store: Store,
        ledger: DetectionLedger,
        detection: Detection,
        clock: Clock,
        *,
        at: Mapping[Partition, Cursor],
        aside: Executor,
        batch: int = 1000,
        snapshot_seconds: float = 10.0,
    ) -> None:
        """`detection` is the state that belongs to the cursors `at` (both empty on the first run).

        `aside` has one thread and writes snapshots; it is ended with the service.
        """
        self._store = store
        self._ledger = ledger
        self._models = ledger.models()
        self._detection = detection
        self._clock = clock
        self._batch = batch
        self._cursors = dict(at)
        self._committed = ledger.cursors(CONSUMER)
        self._replaying = self._is_behind()
        self._unwritten: Findings | None = None
        self._told: list[Anomaly] = []
        self._away = ""
        self._keeping = Keeping(CONSUMER, ledger, clock, aside, at=at, every_seconds=snapshot_seconds)
        self._counts = dict.fromkeys(("transactions_total", "anomalies_total", "replayed_total"), 0)
        self._closed = False

    @property
    def configuration(self) -> Configuration:
        """What is in force."""
        return self._detection.configuration

    @property
    def guard(self) -> Guard:
        """What watches the last change."""
        return self._detection.guard

    @property
    def replaying(self) -> bool:
        """Whether the state is not where the committed results are: behind them, or ahead of a write."""
        return self._replaying or self._unwritten is not None

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
        parts = split_at(rows, self._committed)
        for part, known in parts[:1]:
            self._score(part, known=known)
        self._replaying = self._replaying and bool(parts) and self._is_behind()
        self._keeping.step(self._cursors, lambda: kept(self._detection), idle=rows.is_empty())
        return Progress(handled=rows.height, finished=True)

    def change(
        self, configuration: Configuration, *, trusted: bool, planned: Mapping[str, float]
    ) -> list[str]:
        """Put another configuration into force between two batches; return what begins anew.

        It is watched unless it is `trusted`; its guard expects the shares of anomalies that were `planned`.
        The state is kept at once, under the new configuration and at the cursors where it begins: what is
        scored again after a crash is scored under the configuration that was in force.
        """
        changed, anew = self._detection.changed(configuration, trusted=trusted, planned=planned)
        self._keeping.keep(self._cursors, standing(changed))
        self._detection = changed
        return anew

    @property
    def labels(self) -> int:
        """The number of the last label that was learnt."""
        return self._detection.labels

    def learn(self, frauds: pl.DataFrame, withdrawn: pl.DataFrame, number: int) -> None:
        """Learn labels between two batches, and keep the state at once; see `Detection.learn`."""
        self._detection.learn(frauds, withdrawn, number)
        self._keeping.keep(self._cursors, standing(self._detection))

    def install(self, name: str, payload: bytes, *, held: bool) -> None:
        """Let a kept model count from the next batch on, and keep the state at once.

        Raises SnapshotError where it is damaged or of another shape; then nothing has changed.
        """
        self._detection.install(name, payload, held=held)
        self._keeping.keep(self._cursors, standing(self._detection))

    def tell(self, anomaly: Anomaly) -> None:
        """Store an anomaly about the detection itself, and queue it, with the next step."""
        self._told.append(anomaly)

    def faults(self) -> list[str]:
        """Return what is set aside, in sentences."""
        return self._detection.faults()

    def health(self) -> Health:
        """Return the counts since the start, and what the detection says of itself."""
        counts = self._counts
        faults = self.faults()
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
                self._keeping.keep_last(self._cursors, lambda: standing(self._detection))
        finally:
            self._keeping.close()

    def _is_behind(self) -> bool:
        nowhere = Cursor(0, -1)
        return any(
            self._cursors.get(part, nowhere).sequence < cursor.sequence
            for part, cursor in self._committed.items()
        )

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


def split_at(rows: pl.DataFrame, committed: Mapping[Partition, Cursor]) -> list[tuple[pl.DataFrame, bool]]:
    """Split rows into the part whose results are committed already and the part that is new.

    The committed rows are a prefix of what is read, since they were once read in this order.  Where
    they are not (a ledger restored from a backup), all rows count as new: writing again is harmless.
    """
    if rows.is_empty():
        return []
    known = np.fromiter(_is_known(rows, committed), dtype=bool, count=rows.height)
    count = int(known.sum())
    if not known[:count].all():
        return [(rows, False)]
    parts = [(rows[:count], True), (rows[count:], False)]
    return [(part, is_known) for part, is_known in parts if not part.is_empty()]


def last_cursors(rows: pl.DataFrame) -> dict[Partition, Cursor]:
    """Return each partition's cursor after these feed rows."""
    last = rows.group_by("source", "partition").agg(pl.col("arrival").last(), pl.col("sequence").last())
    return {
        Partition(source, partition): Cursor(arrival, sequence)
        for source, partition, arrival, sequence in last.iter_rows()
    }


def _is_known(rows: pl.DataFrame, committed: Mapping[Partition, Cursor]) -> list[bool]:
    if not committed:
        return [False] * rows.height
    columns = rows.select("source", "partition", "sequence").iter_rows()
    return [
        (cursor := committed.get(Partition(source, partition))) is not None and sequence <= cursor.sequence
        for source, partition, sequence in columns
    ]
