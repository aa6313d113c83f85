"""The watch over detection itself: does it still behave as it did, on a stream that still looks as it did?

Per window of event time four figures are taken from what the engine said.  Each has a band from its own
past at that time of day; leaving it is an anomaly of its own kind, told once until the figure is back, and
once a day at most.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from detectors.driftfigures import FIGURES, Counted, Figure, counted
from detectors.scored import Scored
from detectors.settings import Drift, Severities
from detectors.state import Array, State, Table
from detectors.types import Floats, Times
from txwatch.errors import SnapshotError
from txwatch.model import Anomaly, AnomalyType, Reason, Severity, drift_anomaly_id
from txwatch.ports import SeriesPoint

Versions = Callable[[Scored, int], Mapping[str, str]]
"""What judged a scored row."""

KIND: Final = "drift"
BLOCKS: Final = 6
"""Parts of the day with bands of their own: four hours each, UTC."""
SCORES: Final = 400
"""Bins of the histogram of scores."""
_LEAST_WINDOWS: Final = 12
"""Windows in a part of the day before anything is said about it: three days of hours."""
_BACK: Final = 0.5
"""In half widths of the band: nearer than this, a figure that was outside is back."""
_DAY_MS: Final = 86_400_000
_START, _REACHED, _ROWS, _FLAGGED, _OWN, _YOUNG, _JUDGED, _LENGTH = range(8)


class DriftWatch:
    """Windows of the engine's own figures, with a band for each.

    Blind: to what changes slower than half of the windows that are remembered, and to a stream that stops.
    From: bands by median and median absolute deviation of the last windows at that time of day, so that a
    cold start or a change widens none of them for long.
    """

    def __init__(self, settings: Drift, severity: Severities) -> None:
        self._settings, self._severity = settings, severity
        self.state = State(
            window=Table("", (), "i8", rows_each=8),
            scores=Table("", (), rows_each=SCORES),
            values=Table("", (settings.remember,), rows_each=len(FIGURES) * BLOCKS),
            seen=Table("", (), "i8", rows_each=len(FIGURES) * BLOCKS),
            outside=Table("", (), "i1", rows_each=len(FIGURES)),
            told=Table("", (), "i8", rows_each=len(FIGURES)),
        )

    def recall(self, arrays: Mapping[str, Array]) -> None:
        """Take over a dump's memory; without one (an older dump has none) it begins anew.

        So it does where windows had another length, or other many of them were remembered.
        """
        with suppress(SnapshotError):
            if arrays and int(arrays["window"][_LENGTH]) == self._length_ms:
                self.state.load(arrays)

    def step(
        self, times: Times, scored: Scored, now: datetime, versions: Versions
    ) -> tuple[list[SeriesPoint], list[Anomaly]]:
        """Count scored rows, at event times of shape (m,), and judge the windows that they close."""
        points: list[SeriesPoint] = []
        anomalies: list[Anomaly] = []
        if self._settings.watch and len(times):
            for start, stop, reached in self._stretches(times):
                if self._is_over(reached):
                    for name, band in self._close():
                        points.append(self._point(name, band))
                        anomalies += self._told(name, band, now, versions(scored, start))
                    self._open(reached)
                self._count(counted(scored, start, stop), reached)
        return points, anomalies

    def _stretches(self, times: Times) -> Iterator[tuple[int, int, int]]:
        """Yield stretches of rows within a window, by the newest time so far, with the first one's."""
        reached = np.maximum.accumulate(np.maximum(times, self.state["window"][_REACHED]))
        number = reached // self._length_ms
        cuts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(times)]
        for start, stop in pairwise(cuts):
            yield start, stop, int(reached[start])

    @property
    def _length_ms(self) -> int:
        return self._settings.window_seconds * 1000

    def _is_over(self, reached: int) -> bool:
        """Tell whether the open window has its time and its payments; one without goes on with the next."""
        window = self.state["window"]
        is_later = reached // self._length_ms > window[_REACHED] // self._length_ms
        return bool(window[_START] == 0 or (is_later and window[_ROWS] >= self._settings.least_payments))

    def _open(self, reached: int) -> None:
        self.state["window"][:] = 0
        self.state["window"][_LENGTH] = self._length_ms
        self.state["window"][_START] = reached // self._length_ms * self._length_ms
        self.state["scores"][:] = 0.0

    def _count(self, rows: Counted, reached: int) -> None:
        window = self.state["window"]
        window[_REACHED] = max(reached, rows.last)
        window[[_ROWS, _FLAGGED, _OWN, _YOUNG, _JUDGED]] += [
            len(rows.score),
            rows.flagged,
            rows.own,
            rows.young,
            rows.judged,
        ]
        bins = np.clip((rows.score * SCORES / 100.0).astype(np.int64), 0, SCORES - 1)
        self.state["scores"][:] += np.bincount(bins, minlength=SCORES)

    def _close(self) -> list[tuple[Figure, "Band"]]:
        window = self.state["window"]
        if window[_ROWS] == 0:
            return []
        block = int(window[_START] % _DAY_MS * BLOCKS // _DAY_MS)
        values = {
            "scores": upper_twentieth(self.state["scores"]),
            "anomalies": 1000.0 * window[_FLAGGED] / window[_ROWS],
            "own baselines": window[_OWN] / window[_JUDGED] if window[_JUDGED] else np.nan,
            "new users": window[_YOUNG] / window[_JUDGED] if window[_JUDGED] else np.nan,
        }
        return [
            (figure, self._judged(place, values[figure.name], block))
            for place, figure in enumerate(FIGURES)
            if np.isfinite(values[figure.name])
        ]

    def _judged(self, place: int, value: float, block: int) -> "Band":
        """Return a figure with its band, then remember it."""
        figure, row = FIGURES[place], place * BLOCKS + block
        count, past = int(self.state["window"][_ROWS]), self._past(row)
        scaled, is_known = figure.scale(value), len(past) >= _LEAST_WINDOWS
        usual = float(np.median(past)) if is_known else scaled
        spread = 1.4826 * float(np.median(np.abs(past - usual))) if is_known else 0.0
        wide = max(self._settings.beyond * spread, figure.least_width(usual, count))
        off = (scaled - usual) / wide
        is_new = abs(off) > 1.0 and not self.state["outside"][place] and self._has_rested(place)
        if is_new:
            self.state["told"][place] = self.state["window"][_START]
        self.state["values"][row, self.state["seen"][row] % self._settings.remember] = scaled
        self.state["seen"][row] += 1
        self.state["outside"][place] = abs(off) > (_BACK if self.state["outside"][place] else 1.0)
        return Band(
            value=value,
            expected=figure.unscale(usual),
            low=figure.unscale(usual - wide),
            high=figure.unscale(usual + wide),
            off=off,
            is_known=is_known,
            is_new=is_new,
            seen=len(past),
        )

    def _has_rested(self, place: int) -> bool:
        """Tell whether a figure was not told of for a day."""
        start, told = int(self.state["window"][_START]), self.state["told"]
        return start - int(told[place]) >= _DAY_MS

    def _past(self, row: int) -> Floats:
        """Return the figure's last values at this time of day, on its scale."""
        held = min(int(self.state["seen"][row]), self._settings.remember)
        past: Floats = self.state["values"][row, :held]
        return past

    def _span(self) -> tuple[datetime, datetime]:
        window = self.state["window"]
        end = (int(window[_REACHED]) // self._length_ms + 1) * self._length_ms
        return _at(int(window[_START])), _at(end)

    def _point(self, figure: Figure, band: "Band") -> SeriesPoint:
        start, end = self._span()
        point = SeriesPoint(
            series=f"{KIND}:{figure.name}",
            start=start,
            seconds=int((end - start).total_seconds()),
            value=band.value,
        )
        if not band.is_known:
            return point
        return msgspec.structs.replace(point, expected=band.expected, low=band.low, high=band.high)

    def _told(
        self, figure: Figure, band: "Band", now: datetime, versions: Mapping[str, str]
    ) -> Sequence[Anomaly]:
        if not band.is_new:
            return ()
        start, end = self._span()
        grave = abs(band.off) > 2.0
        reason = Reason(
            code=figure.name.replace(" ", "-"),
            sentence=figure.sentence(band.value, band.low, band.high, int(self.state["window"][_ROWS])),
            detector=KIND,
            type=AnomalyType.DRIFT,
            entity_kind="detection",
            contribution=100.0,
            observed=band.value,
            expected=band.expected,
            baseline_size=band.seen,
            baseline_level="entity",
            facts={"low": band.low, "high": band.high, "from": start.isoformat(), "to": end.isoformat()},
        )
        return (
            Anomaly(
                anomaly_id=drift_anomaly_id(figure.name, start),
                kind=KIND,
                type=AnomalyType.DRIFT,
                timestamp=start,
                window_end=end,
                detected_at=now,
                severity=Severity.HIGH if grave else Severity.MEDIUM,
                score=self._severity.high if grave else self._severity.medium,
                reasons=(reason,),
                entity_kind="detection",
                entity_id=figure.name,
                versions=dict(versions),
            ),
        )


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one window beside what is usual."""

    value: float
    expected: float
    low: float
    high: float
    off: float
    """How far from expected, in half widths of the band; 0 while that is not known."""
    is_known: bool
    is_new: bool
    """Whether it has just left the band."""
    seen: int


def upper_twentieth(counts: Floats) -> float:
    """Return the score that one in twenty exceeds, from a histogram of scores from 0 to 100."""
    below = np.cumsum(counts) / counts.sum()
    place = int(np.searchsorted(below, 0.95))
    before = below[place - 1] if place else 0.0
    inside = (0.95 - before) / (below[place] - before)
    return float((place + inside) * 100.0 / len(counts))


def _at(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
