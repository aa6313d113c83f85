"""Several configurations over one stream: each scores every row as it would have at the time."""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import polars as pl

from detectors.engine import Engine
from detectors.labels import LateLabels
from detectors.rows import milliseconds
from detectors.scored import Scored
from detectors.types import Codes, Flags, Floats, Matrix32, Times


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration under its name, and the labels that come back to it, if any do."""

    name: str
    engine: Engine
    labels: LateLabels | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one contender said of every payment; arrays have shape (n,) unless they say otherwise."""

    name: str
    transaction_id: pl.Series
    time: Times
    score: Floats
    severity: Codes
    is_anomaly: Flags
    detectors: Sequence[str]
    evidence: Matrix32
    """Shape (n, detectors)."""


def contest(
    frames: Iterable[pl.DataFrame], contenders: Sequence[Contender], micro_batch: int
) -> list[Outcome]:
    """Score frames (columns TRANSACTION, in event-time order) with every contender.

    Duplicates and status changes are no payments and are left out.
    """
    kept = [_Kept(contender) for contender in contenders]
    for frame in frames:
        for batch in frame.iter_slices(micro_batch):
            for one in kept:
                one.step(batch)
    return [one.outcome() for one in kept]


class _Kept:
    """One contender with what it has said so far; about 90 bytes a payment."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._ids: list[pl.Series] = []
        self._times: list[Times] = [np.empty(0, np.int64)]
        self._said: list[tuple[Floats, Codes, Flags, Matrix32]] = []

    def step(self, batch: pl.DataFrame) -> None:
        engine, labels = self._contender.engine, self._contender.labels
        due = None if labels is None else labels.due(batch)
        if due is not None:
            engine.confirm(due)
        scored: Scored = engine.step(batch)
        fresh = scored.fresh
        self._ids.append(batch["transaction_id"].gather(fresh))
        self._times.append(milliseconds(batch["timestamp"])[fresh])
        self._said.append(
            (
                scored.score[fresh],
                scored.severity[fresh],
                scored.is_anomaly[fresh],
                scored.evidence[fresh].astype(np.float32),
            )
        )

    def outcome(self) -> Outcome:
        names = self._contender.engine.names
        empty = (np.empty(0), np.empty(0, np.int8), np.empty(0, np.bool_), np.empty((0, len(names)), "f4"))
        score, severity, flags, evidence = (
            np.concatenate(part) for part in zip(empty, *self._said, strict=True)
        )
        return Outcome(
            name=self._contender.name,
            transaction_id=pl.concat(self._ids) if self._ids else pl.Series(dtype=pl.String),
            time=np.concatenate(self._times),
            score=score,
            severity=severity,
            is_anomaly=flags,
            detectors=tuple(names),
            evidence=evidence,
        )
