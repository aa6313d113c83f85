"""The transaction engine: micro-batches in, scores and explained anomalies out, in one pass.

    scored = engine.step(batch)
    anomalies = engine.anomalies(batch, scored, detected_at)

The order within a step: give entities their rows; recognise duplicates; measure features; let every
method score and then learn; bring the evidence to one scale and join it; grade it against the alert
budget; apply the rules.  Every part walks the rows in feed order and looks back only, so the same rows
in the same order give the same scores wherever they are cut into batches.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors import snapshot
from detectors.features import FeatureState
from detectors.feedback import FeedbackMethod
from detectors.joining import Joining
from detectors.kernels.join import join
from detectors.kernels.tail import SILENT
from detectors.method import Evidence, FittedMethod, silent
from detectors.methods import all_methods
from detectors.provenscale import ProvenScale
from detectors.publish import Published, published
from detectors.reasons import anomaly_of, explain
from detectors.remembered import FRESH, RememberedIds
from detectors.rows import Reported, Rows, RowsBuilder
from detectors.rulebook import RuleBook, RuleHits
from detectors.scored import Judged, Scored, joined, spread
from detectors.settings import DetectionSettings
from detectors.severity import Grading, score_of
from detectors.state import Array, State
from detectors.types import Codes, Flags, Floats, Times
from txwatch import __version__
from txwatch.errors import SnapshotError
from txwatch.model import Anomaly, Reason
from txwatch.registry import ModelChange


class Remembering(Protocol):
    """What has a memory of arrays."""

    def dump(self) -> Mapping[str, Array]:
        """Return the memory."""

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over a memory; raises SnapshotError when it does not fit."""


class Taught(Protocol):
    """What learns from confirmed frauds."""

    def confirm(self, frauds: Reported) -> None:
        """Learn that these payments were frauds."""

    def withdraw(self, frauds: Reported) -> None:
        """Forget that these payments were frauds."""

    def cuts(self, times: Times) -> npt.NDArray[np.int64]:
        """Return the rows before which a day begins: it is given no rows around them."""


class Engine:
    """All detection on transactions, with everything it remembers."""

    version = snapshot.FORMAT

    def __init__(self, settings: DetectionSettings, rulebook: RuleBook | None = None) -> None:
        self._settings = settings
        self._rulebook = rulebook
        self._remembered = RememberedIds(settings.remember_ids)
        self._builder = RowsBuilder(settings)
        self._features = FeatureState(rulebook.columns if rulebook else ())
        self._methods = all_methods(settings)
        self._fitted = [method for method in self._methods if isinstance(method, FittedMethod)]
        self._feedback = [method for method in self._methods if isinstance(method, FeedbackMethod)]
        self._proven = None
        if settings.feedback is not None:
            self._proven = ProvenScale([method.name for method in self._methods], settings.feedback)
        self._joining = Joining(self._methods, settings.calibration, settings.severity.weights)
        self._grading = Grading(settings)
        self._watermark = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The detectors at work, in the order of the evidence."""
        return tuple(method.name for method in self._methods)

    def warm_ups(self) -> dict[str, int | None]:
        """Return how many rows each detector needs before it speaks, None where it needs a fitted model."""
        return {
            method.name: None
            if isinstance(method, FittedMethod)
            else getattr(getattr(self._settings, method.name, None), "warm_up", 0)
            for method in self._methods
        }

    def step(self, batch: pl.DataFrame) -> Scored:
        """Score a batch (columns TRANSACTION, POSITION and ARRIVAL optional) in its row order."""
        rows = self._builder.build(batch)
        seen = self._remembered.step(rows)
        part = batch
        if (seen != FRESH).any():
            fresh = np.flatnonzero(seen == FRESH)
            part, rows = batch[fresh], rows.take(fresh)
        bounds = self._bounds(rows)
        if len(bounds) <= 2:
            return spread(self._judged(part, rows), seen, self.names)
        pieces = [
            self._judged(part[start:stop], rows.take(np.arange(start, stop)))
            for start, stop in pairwise(bounds)
        ]
        return spread(joined(pieces), seen, self.names)

    def confirm(self, frauds: pl.DataFrame) -> None:
        """Learn confirmed frauds (transaction_id, timestamp, user_id, merchant_id); see `feedback`.

        They may come as early as they are known: each counts from the label delay on.
        """
        reported = self._builder.reported(frauds)
        for feedback in self._taught():
            feedback.confirm(reported)
        for method in self._fitted:
            method.leave_out(reported.keys)

    def withdraw(self, frauds: pl.DataFrame) -> None:
        """Forget that these were frauds, which `confirm` was told; of kept samples they stay out."""
        reported = self._builder.reported(frauds)
        for feedback in self._taught():
            feedback.withdraw(reported)

    def anomalies(self, batch: pl.DataFrame, scored: Scored, detected_at: datetime) -> list[Anomaly]:
        """Return the anomalies of a batch that was just scored; `detected_at` stamps them."""
        place = {i: m for m, i in enumerate(scored.fresh.tolist())}
        return [
            anomaly_of(
                batch.row(i, named=True),
                scored,
                i,
                reasons,
                detected_at,
                self.versions(scored, place[i]),
            )
            for i, reasons in self.reasons(scored)
        ]

    def versions(self, scored: Scored, m: int) -> dict[str, str]:
        """Return what judged the m-th scored row: the versions of code, rules and fitted models."""
        rules = {} if self._rulebook is None else {"rules": self._rulebook.version}
        return {"code": __version__} | rules | dict(scored.judged.models_of(m))

    def _models(self) -> dict[str, str]:
        return {method.name: method.model for method in self._fitted if method.model}

    def reasons(self, scored: Scored) -> Iterator[tuple[int, tuple[Reason, ...]]]:
        """Yield the batch row and the reasons of each anomaly."""
        for m, i in enumerate(scored.fresh.tolist()):
            if scored.is_anomaly[i]:
                rules = self._rule_reasons(scored, m)
                yield i, explain(scored, m, self._methods, rules, self._settings.base_currency)

    def dump(self) -> bytes:
        """Return everything that the engine remembers."""
        return b"".join(snapshot.encode(self.contents()))

    def contents(self, *, copies: bool = True) -> snapshot.Contents:
        """Return a copy of everything that the engine remembers, or (not `copies`) the very arrays."""
        arrays = {name: snapshot.pack(state.dump(), copies=copies) for name, state in self._states().items()}
        arrays["remembered"] = snapshot.pack(self._remembered.dump(), copies=copies)
        return snapshot.Contents(
            format=snapshot.FORMAT,
            ids=self._builder.dump(),
            arrays=arrays,
            watermark=self._watermark,
            rules=self._rulebook.dump() if self._rulebook else b"",
        )

    @classmethod
    def restore(
        cls, payload: bytes, settings: DetectionSettings, rulebook: RuleBook | None = None
    ) -> "Engine":
        """Return an engine with the memory of a dump; raises SnapshotError when it does not fit.

        Detectors that were off when the dump was made start empty.  So do declared features that are
        defined otherwise; the others go on.
        """
        contents = snapshot.decode(payload)
        engine = cls(settings, rulebook)
        engine._take_over(contents)
        return engine

    def changed(
        self, settings: DetectionSettings, rulebook: RuleBook | None = None
    ) -> tuple["Engine", list[str]]:
        """Return an engine of other settings and rules that goes on with this one's memory.

        Memory is handed over, not copied: this one is used no longer.  The second part names what does not
        fit them and begins anew.
        """
        engine = Engine(settings, rulebook)
        if (settings.base_currency, settings.rates) == (self._settings.base_currency, self._settings.rates):
            engine._builder = self._builder
        else:
            engine._builder.load(self._builder.dump())
        engine._watermark = self._watermark
        anew = [] if _taken(engine._remembered, self._remembered) else ["remembered"]
        known = self._states()
        for name, state in engine._states().items():
            if name not in known or not _taken(state, known[name]):
                anew.append(name)
        if rulebook is not None and self._rulebook is not None:
            anew += rulebook.take_over(self._rulebook)
        return engine, anew

    def nbytes(self) -> int:
        """Return the memory of all arrays, in bytes."""
        return self._remembered.nbytes() + sum(state.nbytes() for state in self._states().values())

    def model_changes(self) -> list[ModelChange]:
        """Return what happened to fitted models since this was asked last."""
        return [change for method in self._fitted for change in method.changes()]

    def install(self, name: str, payload: bytes, *, held: bool) -> None:
        """Let a kept model of a detector count from now on; `held`: none replaces it by itself.

        Raises SnapshotError where the model is damaged or of another shape, or the detector is off.
        """
        for method in self._fitted:
            if method.name == name:
                method.install(payload, held=held)
                return
        raise SnapshotError(f"there is no detector {name} at work whose model could be changed")

    def figures(self) -> dict[str, float]:
        """Return what the engine says of itself: entities known, memory, threshold in force."""
        sizes = {f"{kind}s": float(size) for kind, size in self._builder.sizes().items()}
        return sizes | {"state_bytes": float(self.nbytes())}

    def _bounds(self, rows: Rows) -> list[int]:
        """Return where rows are cut: models change only between what is judged in one go."""
        cuts = [method.cuts(rows.times) for method in self._fitted]
        cuts += [feedback.cuts(rows.times) for feedback in self._taught()]
        return sorted({0, len(rows), *np.concatenate([[], *cuts]).astype(np.int64).tolist()})

    def _judged(self, part: pl.DataFrame, rows: Rows) -> Judged:
        self._features.step(rows)
        found = self._run_methods(rows)
        evidence, joint = self._joined(found, rows)
        threshold = self._grading.thresholds(rows.times, joint)
        columns = published(part, rows, self._rulebook.columns if self._rulebook else ())
        hits = self._hits(columns, rows)
        score = score_of(joint)
        own = self._grading.severities(score, threshold)
        severity = np.maximum(own, _floors(hits, len(rows)))
        former = None if hits is None else hits.former
        for method in self._fitted:
            method.flagged(severity > 0)
        return Judged(
            score=score,
            severity=severity,
            severity_before=None if former is None else np.maximum(own, _floors(former, len(rows))),
            is_late=self._late(rows.times),
            evidence=evidence,
            threshold=threshold,
            has_rate=rows.has_rate,
            found=found,
            published=columns,
            hits=hits,
            models=[(len(rows), self._models())],
        )

    def _joined(self, found: list[Evidence], rows: Rows) -> tuple[Floats, Floats]:
        """Return evidence and joint log odds; where there are labels, on the scale that they have proven."""
        evidence = self._joining.calibrated(found, len(rows))
        for feedback in self._feedback:
            feedback.beside(self._without_feedback(evidence))
        if self._proven is not None:
            evidence = self._proven.step(rows, evidence)
        return self._joining.joined(evidence)

    def _taught(self) -> Sequence[Taught]:
        """Return all that learns from confirmed frauds."""
        return self._feedback if self._proven is None else (*self._feedback, self._proven)

    def _without_feedback(self, evidence: Floats) -> Floats:
        """Return the joint log odds of all that speaks without labels."""
        others = [k for k, method in enumerate(self._methods) if not isinstance(method, FeedbackMethod)]
        joint = np.full(len(evidence), SILENT)
        if others:
            join(np.ascontiguousarray(evidence[:, others]), joint)
        return joint

    def _run_methods(self, rows: Rows) -> list[Evidence]:
        found: list[Evidence] = []
        for method in self._methods:
            found.append(method.score(rows, found) if len(rows) else silent(0))
        return found

    def _hits(self, columns: Published, rows: Rows) -> RuleHits | None:
        if self._rulebook is None:
            return None
        entities = {"user_id": rows.user, "merchant_id": rows.merchant}
        return self._rulebook.step(columns.frame, entities, columns.built_ins)

    def _late(self, times: Times) -> Flags:
        if len(times) == 0:
            return np.zeros(0, dtype=bool)
        before = np.maximum.accumulate(np.concatenate(([self._watermark], times)))
        self._watermark = int(before[-1])
        return np.asarray(times < before[:-1] - 1000.0 * self._settings.allowed_lateness)

    def _rule_reasons(self, scored: Scored, m: int) -> list[Reason]:
        hits = scored.judged.hits
        if self._rulebook is None or hits is None or not hits.matrix[m].any():
            return []
        return self._rulebook.reasons(hits, m, scored.judged.published.row(m))

    def _states(self) -> dict[str, State]:
        states = {f"features.{name}": state for name, state in self._features.states.items()}
        for method in self._methods:
            states |= {f"{method.name}.{name}": state for name, state in method.states().items()}
        if self._proven is not None:
            states["proven"] = self._proven.state
        return states | {"joining": self._joining.state, "grading": self._grading.state}

    def _take_over(self, contents: snapshot.Contents) -> None:
        for name, state in self._states().items():
            if name in contents.arrays:
                state.load(snapshot.unpack(contents.arrays[name]))
            elif name in ("joining", "grading") or name.startswith("features."):
                raise SnapshotError(f"the snapshot does not fit: it has no part {name}")
        self._remembered.load(snapshot.unpack(contents.arrays.get("remembered", {})))
        self._builder.load(contents.ids)
        self._watermark = contents.watermark
        if self._rulebook is not None and contents.rules:
            self._rulebook.restore(contents.rules)


def _taken(new: "Remembering", old: "Remembering") -> bool:
    """Let one take over the memory of the other, which is used no longer; tell whether it fits."""
    if type(new) is State and type(old) is State and new.adopt(old):
        return True
    try:
        new.load(old.dump())
    except SnapshotError:
        return False
    return True


def _floors(hits: RuleHits | None, count: int) -> Codes:
    """Return the severity that rules put under each row."""
    if hits is None or not hits.matrix.size:
        return np.zeros(count, dtype=np.int8)
    floors: Codes = (hits.matrix * hits.severities.astype(np.int8)).max(axis=1)
    return floors
