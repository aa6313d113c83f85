"""Counts what each detector looked at: for each window of event time, how many rows had which fate.

A row is evaluated by a detector that has had rows enough to speak (its `warm_up`) or that speaks all the
same; it is without where the detector has nothing to look at in it.  Independent of batch cuts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.kernels.tail import SILENT
from detectors.method import Evidence
from detectors.scored import Scored
from detectors.types import Flags, Times
from txwatch.coverage import (
    BROKEN,
    FEED,
    RULES,
    SERIES,
    SHADOW,
    WINDOW,
    WINDOW_SECONDS,
    Counted,
    Tally,
    added,
    start_of,
)
from txwatch.ports import SeriesPoint

NOBODY: frozenset[str] = frozenset()


class AtWork(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks at transactions just now."""

    warm_ups: Mapping[str, int | None]
    """Rows with something to look at that a detector needs first; None: it needs a fitted model."""
    rules: bool
    failed: Collection[str] = NOBODY
    """Ids of rules that are set aside."""


class Covering:
    """Counts for each detector, and remembers how many rows it could look at since it began."""

    def __init__(self, asked: Mapping[str, int] | None = None) -> None:
        self._asked = dict(asked or {})

    def step(self, times: Times, scored: Scored, work: AtWork) -> Counted:
        """Count a batch that was scored; `times` are those of all its rows, shape (n,), in milliseconds."""
        rows = _Rows(times)
        fresh = _Rows(times[scored.fresh])
        late = scored.judged.is_late
        parts = [rows.counted(FEED, evaluated=np.ones(len(times), bool))]
        for name, found in zip(scored.names, scored.judged.found, strict=True):
            parts.append(fresh.counted(name, late=late, **self._fates(name, found, scored, work)))
        everything = np.ones(len(late), bool)
        if work.rules:
            parts.append(fresh.counted(RULES, evaluated=everything, late=late))
        parts += [fresh.counted(f"{BROKEN}{name}", failed=everything) for name in sorted(work.failed)]
        parts += _in_shadow(fresh, scored)
        return added(parts)

    def dump(self) -> dict[str, int]:
        """Return the memory."""
        return dict(self._asked)

    def without(self, anew: Iterable[str]) -> "Covering":
        """Return one for which these parts of detectors (`user_amount.`) begin anew."""
        names = {name.partition(".")[0] for name in anew}
        return Covering({name: count for name, count in self._asked.items() if name not in names})

    def _fates(self, name: str, found: Evidence, scored: Scored, work: AtWork) -> dict[str, Flags]:
        speaks = found.log_odds > SILENT
        needed = work.warm_ups.get(name)
        if needed is None:
            ready = _with_model(name, scored)
            return {"evaluated": speaks | ready, "warming_up": ~speaks & ~ready}
        has = speaks | ~np.isnan(found.observed)
        ready = self._asked.get(name, 0) + np.cumsum(has) > needed
        self._asked[name] = self._asked.get(name, 0) + int(has.sum())
        evaluated = speaks | (has & ready)
        return {"evaluated": evaluated, "warming_up": has & ~evaluated, "without": ~has}


def series_counted(points: Sequence[SeriesPoint], late: Sequence[int]) -> Counted:
    """Return the counts of judged windows of series, and of rows (their times) too late for them."""
    parts: dict[datetime, dict[str, int]] = {}
    for point in points:
        fate = "warming_up" if point.expected is None else "evaluated"
        for start in _covered(point.start, point.seconds):
            fates = parts.setdefault(start, {})
            fates[fate] = fates.get(fate, 0) + 1
    for moment in late:
        fates = parts.setdefault(_start(moment // 1000 // WINDOW_SECONDS), {})
        fates["late"] = fates.get("late", 0) + 1
    return {start: {SERIES: Tally(**fates)} for start, fates in parts.items()}


class _Rows:
    """Rows by their window."""

    def __init__(self, times: Times) -> None:
        numbers, self._place = np.unique(times // (WINDOW_SECONDS * 1000), return_inverse=True)
        self._starts = [_start(number) for number in numbers.tolist()]

    def counted(self, name: str, **fates: Flags) -> Counted:
        """Return how many rows of each window have which fate."""
        counts = {fate: self._count(flags) for fate, flags in fates.items()}
        return {
            start: {name: Tally(**{fate: int(count[i]) for fate, count in counts.items()})}
            for i, start in enumerate(self._starts)
        }

    def _count(self, flags: Flags) -> npt.NDArray[np.int64]:
        return np.bincount(self._place[flags], minlength=len(self._starts))


def _in_shadow(fresh: _Rows, scored: Scored) -> Iterator[Counted]:
    """Yield what rules in shadow hit, of those that hit anything."""
    hits, found = scored.judged.hits, scored.judged.severity > 0
    if hits is not None and hits.shadow is not None:
        for place, name in enumerate(hits.shadow.ids):
            held = hits.shadow.matrix[:, place]
            if held.any():
                yield fresh.counted(f"{SHADOW}{name}", hits=held, known=held & found)


def _with_model(name: str, scored: Scored) -> Flags:
    """Return which rows were judged under a fitted model of a detector, shape (m,)."""
    parts = [np.full(count, bool(models.get(name))) for count, models in scored.judged.models]
    return np.concatenate([np.zeros(0, bool), *parts])


def _start(number: int) -> datetime:
    return datetime.fromtimestamp(number * WINDOW_SECONDS, UTC)


def _covered(start: datetime, seconds: int) -> Iterable[datetime]:
    """Return the windows that a window of a series lies in or covers."""
    first, end = start_of(start), start + timedelta(seconds=seconds)
    while first < end:
        yield first
        first += WINDOW
