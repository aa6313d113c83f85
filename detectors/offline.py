"""Scoring files: the engine over frames, and the writers of what it says.

Outputs appear whole or not at all: they are written beside their place and renamed at the end.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec
import numpy as np
import polars as pl

from detectors.engine import Engine
from detectors.labels import LateLabels
from detectors.reasons import detector_evidence
from detectors.scored import Scored
from detectors.types import Codes, Floats
from txwatch.errors import StoreError
from txwatch.model import Severity


def score(
    frames: Iterable[pl.DataFrame],
    engine: Engine,
    micro_batch: int,
    labels: LateLabels | None = None,
) -> Iterator[tuple[pl.DataFrame, Scored]]:
    """Yield each micro-batch (columns TRANSACTION, in event-time order) with what the engine says of it.

    Frames may have any height: they are one stream, and cutting it elsewhere changes nothing.  Labels
    are given to the engine as they become due.
    """
    for frame in frames:
        for batch in frame.iter_slices(micro_batch):
            due = None if labels is None else labels.due(batch)
            if due is not None:
                engine.confirm(due)
            yield batch, engine.step(batch)


class Output:
    """A file that appears under its name only when everything was written.

    Use as a context manager; an exception inside it, or a full disk, leaves nothing behind.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")

    def __enter__(self) -> Self:
        try:
            self._file: BinaryIO = self._partial.open("wb")
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
            self._file.close()
            if error is None:
                self._partial.replace(self._path)
        except OSError as problem:
            raise StoreError(f"{self._path} cannot be written: {problem.strerror}") from problem
        finally:
            self._partial.unlink(missing_ok=True)

    def _finish(self) -> None:
        """Write what is still to be written."""

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}") from error


class JsonLines(Output):
    """One JSON object a line for every transaction, in feed order.

    transaction_id, score, severity (null where it is no anomaly), is_anomaly, reasons, detectors; a
    duplicate or status change carries `"skipped": "duplicate" | "status_change"` and no evidence.
    """

    def __init__(self, path: Path, engine: Engine) -> None:
        super().__init__(path)
        self._engine = engine
        self._encoder = msgspec.json.Encoder()

    def write(self, batch: pl.DataFrame, scored: Scored) -> None:
        """Write one scored micro-batch."""
        reasons = dict(self._engine.reasons(scored))
        lines = [
            {
                "transaction_id": transaction_id,
                "score": round(float(scored.score[i]), 6),
                "severity": severity_word(int(scored.severity[i])),
                "is_anomaly": bool(scored.is_anomaly[i]),
                "reasons": reasons.get(i, ()),
                "detectors": detector_evidence(scored, i),
                **_skipped(scored, i),
            }
            for i, transaction_id in enumerate(batch["transaction_id"].to_list())
        ]
        self._write(self._encoder.encode_lines(lines))


class Parquet(Output):
    """A Parquet file with transaction_id, score and severity (null where it is no anomaly).

    Ids that are whole numbers throughout are written as numbers, so that they join with the table they
    came from.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._ids: list[pl.Series] = []
        self._scores: list[Floats] = []
        self._severities: list[Codes] = []

    def write(self, batch: pl.DataFrame, scored: Scored) -> None:
        """Keep one scored micro-batch; 9 bytes a transaction beside its id."""
        self._ids.append(batch["transaction_id"])
        self._scores.append(scored.score)
        self._severities.append(scored.severity)

    def _finish(self) -> None:
        ids = pl.concat(self._ids) if self._ids else pl.Series(dtype=pl.String)
        levels = pl.Series(np.concatenate([*self._severities, np.zeros(0, np.int8)]))
        frame = pl.DataFrame(
            {
                "transaction_id": _as_it_came(ids),
                "score": np.concatenate([*self._scores, np.zeros(0)]),
                "severity": levels.replace_strict(_WORDS, return_dtype=pl.String),
            }
        )
        frame.write_parquet(self._file)


def severity_word(level: int) -> str | None:
    """Return the word of a severity, None for no anomaly."""
    return Severity(level).word if level else None


_WORDS = {0: None, **{int(severity): severity.word for severity in Severity}}


def _as_it_came(ids: pl.Series) -> pl.Series:
    """Return ids as whole numbers where every one of them is exactly the text of one."""
    numbers = ids.cast(pl.Int64, strict=False)
    return numbers if numbers.null_count() == 0 and (numbers.cast(pl.String) == ids).all() else ids


def _skipped(scored: Scored, i: int) -> dict[str, Any]:
    if scored.is_duplicate[i]:
        return {"skipped": "duplicate"}
    return {"skipped": "status_change"} if scored.is_status_change[i] else {}
