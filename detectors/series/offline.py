"""Series from files: `timestamp,value` in, `timestamp,value,anomaly_score` out."""

import csv
import math
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import msgspec
import numpy as np
import polars as pl

from detectors.series.method import Floats, Times
from detectors.series.scorer import FINE_SECONDS, ScorerSettings, SeriesScorer
from detectors.series.thresholds import FINE_SCORE_THRESHOLD, SCORE_THRESHOLD
from txwatch.errors import InputError, TxwatchError

MILLISECONDS_FROM = 1e11
"""Epoch numbers from here on are milliseconds (the year 5138 in seconds, 1973 in milliseconds)."""


QUIET_ROWS = 30
LATEST_MS = 253_402_300_800_000
"""The year 10000."""


class SeriesSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What `score_series` did: rows read, values missing, and alarms at the recommended threshold.

    An alarm is a score that reaches the threshold after at least thirty rows below it.
    """

    rows: int
    missing: int
    alarms: int
    threshold: float
    interval_seconds: float


class _Table(msgspec.Struct, frozen=True):
    """A series as read: the texts as they stood in the file, and what they mean."""

    timestamps: list[str]
    values: list[str]
    times_ms: Times
    numbers: Floats


def score_series(input: Path, output: Path, settings: ScorerSettings | None = None) -> SeriesSummary:  # noqa: A002 - the words of the command
    """Score a CSV of timestamp and value, each row from the rows before it.

    The output has the same rows in the same order, timestamp and value as they stood in the input.  It
    appears whole or not at all: it is written beside its place and then renamed.

    Raises:
        InputError: the file cannot be read, lacks a column, or has a bad row; names the line.
        TxwatchError: the output cannot be written.
    """
    table = _read(input)
    scorer = SeriesScorer(settings)
    scores = scorer.step(table.times_ms, table.numbers).score
    _write(output, table, scores)
    fine = 0 < scorer.interval_seconds <= FINE_SECONDS
    threshold = FINE_SCORE_THRESHOLD if fine else SCORE_THRESHOLD
    return SeriesSummary(
        rows=len(scores),
        missing=int(np.isnan(table.numbers).sum()),
        alarms=_alarms(scores, threshold),
        threshold=threshold,
        interval_seconds=scorer.interval_seconds,
    )


def score_frame(frame: pl.DataFrame, settings: ScorerSettings | None = None) -> pl.DataFrame:
    """Score every column of a wide frame but `timestamp`; returns scores in the same columns and rows."""
    times = np.asarray(frame["timestamp"].cast(pl.Datetime("ms")).cast(pl.Int64).to_numpy())
    names = [name for name in frame.columns if name != "timestamp"]
    columns = {name: np.asarray(frame[name].cast(pl.Float64).to_numpy()) for name in names}
    return pl.DataFrame(
        {name: SeriesScorer(settings).step(times, values).score for name, values in columns.items()}
    )


def _alarms(scores: Floats, threshold: float) -> int:
    rows = np.flatnonzero(scores >= threshold)
    return int((np.diff(rows, prepend=-QUIET_ROWS - 1) > QUIET_ROWS).sum())


def _read(path: Path) -> _Table:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _table(path, file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8: {error}") from error


def _table(path: Path, file: TextIO) -> _Table:
    timestamps: list[str] = []
    values: list[str] = []
    times: list[int] = []
    numbers: list[float] = []
    for line, timestamp, value in _cells(path, file):
        try:
            times.append(_milliseconds(timestamp))
            numbers.append(_number(value))
        except (ValueError, OverflowError) as error:
            raise InputError(f"{path}, line {line}: {error}") from error
        timestamps.append(timestamp)
        values.append(value)
    return _Table(timestamps, values, np.array(times, np.int64), np.array(numbers, np.float64))


def _cells(path: Path, file: TextIO) -> Iterator[tuple[int, str, str]]:
    """Yield line number, timestamp text and value text of every row that is not blank."""
    reader = csv.reader(file)
    header = [name.strip().lower() for name in next(reader, [])]
    if "timestamp" not in header or "value" not in header:
        raise InputError(f"{path}, line 1: the header must name the columns timestamp and value")
    time_at, value_at = header.index("timestamp"), header.index("value")
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(header):
            raise InputError(
                f"{path}, line {reader.line_num}: {len(cells)} cells where the header has {len(header)}"
            )
        yield reader.line_num, cells[time_at], cells[value_at]


def _milliseconds(text: str) -> int:
    """Read RFC 3339, ISO 8601 without a zone (taken as UTC), or epoch seconds or milliseconds."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return _epoch(text)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def _epoch(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time") from None
    if not abs(number) < LATEST_MS:
        raise ValueError(f"{text!r} is not a time")
    return round(number if abs(number) >= MILLISECONDS_FROM else number * 1000)


def _number(text: str) -> float:
    """Read a number; an empty cell or NaN is a missing value, infinity too."""
    stripped = text.strip()
    if not stripped:
        return math.nan
    try:
        number = float(stripped)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    return number if math.isfinite(number) else math.nan


def _write(output: Path, table: _Table, scores: Floats) -> None:
    try:
        handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    except OSError as error:
        raise TxwatchError(f"{output} cannot be written: {error.strerror or error}") from error
    try:
        with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("timestamp", "value", "anomaly_score"))
            texts = (f"{score:.6f}" for score in scores.tolist())
            writer.writerows(zip(table.timestamps, table.values, texts, strict=True))
        Path(name).replace(output)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise TxwatchError(f"{output} cannot be written: {error.strerror or error}") from error
