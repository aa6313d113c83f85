"""Traffic: transactions per window, for everything and for each channel, country, status and merchant."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Meta

from detectors.series.asanomaly import Series, anomaly_of
from detectors.series.bank import ProfileBank
from detectors.series.baseline import HOLIDAY
from detectors.series.calendar import Calendar, Days
from detectors.series.events import Events, Raised
from detectors.series.grade import hundreds, steps
from detectors.series.local_time import local_ms
from detectors.series.method import Floats, Record, Records, Times
from detectors.series.past import Past, judged_of, seen_in, seen_of, with_late
from detectors.series.stl import StlBands
from detectors.series.thresholds import EVIDENCE_THRESHOLD
from detectors.series.watched import EVERYTHING, METRICS, Watched
from detectors.series.windows import OpenWindows, Totals
from detectors.settings import Severities
from txwatch.errors import SnapshotError
from txwatch.model import Anomaly
from txwatch.ports import SeriesPoint

COUNT, AMOUNT, DECLINED, LARGEST = range(4)


class Part(Protocol):
    """A part of the watch that remembers."""

    def dump(self) -> dict[str, Any]:
        """Return all state."""

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over a dump."""


REMARKABLE = 50.0
"""The score from which on a merchant's empty window is kept."""


Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Most = Annotated[int, Meta(ge=0)]


class TrafficSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `detectors.traffic` of rules.yaml: what is watched, and how calmly.

    Times are event time.  `threshold` is evidence, minus log10 of the tail probability.  What comes late
    is judged again for `amend_minutes`, or as long as the profiles remember (`past.Past`).
    """

    window_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 60
    grace_seconds: NotNegative = 5.0
    threshold: Positive = EVIDENCE_THRESHOLD
    rest_minutes: Positive = 30.0
    amend_minutes: NotNegative = 180.0
    channels: Most = 10
    countries: Most = 20
    statuses: Most = 5
    merchants: Most = 50
    choice_hours: Positive = 6.0
    least_transactions: Most = 30


class TrafficSettings(TrafficSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same with what stands in other sections.

    `rates` are values of currencies in the base currency (see `windows.OpenWindows`).
    """

    rates: dict[str, float] = {}
    severity: Severities = Severities()
    calendar: Calendar = Calendar()


class TrafficWatch:
    """Counts transactions into series of windows, and says which windows are unlike their past.

    Sees spikes, drops, silence and shifts of the number of transactions, of the approved amount and of
    the share of declined ones, from one window to three hours long.  A window is judged when the newest
    event time is past its end and the grace, and again, when the next one closes, if more of it came late.
    A series says nothing during its first day, and little before it has seen every weekday.  Blind to
    entities too small to be chosen, and to a stream that stops altogether, in which no window ever closes:
    that is for the watch over the data itself.

    The result does not depend on how the feed is cut into batches.  What happens twice in the feed is
    counted twice: redeliveries have to be dropped before.
    """

    def __init__(self, settings: TrafficSettings | None = None) -> None:
        s = self._settings = settings or TrafficSettings()
        caps = {"channel": s.channels, "country": s.countries, "status": s.statuses, "merchant": s.merchants}
        period = max(1, round(s.choice_hours * 3600 / s.window_seconds))
        rest = max(1, round(s.rest_minutes * 60 / s.window_seconds))
        self._days = Days(s.calendar)
        self._windows = OpenWindows(s.window_seconds, s.grace_seconds, s.rates)
        self._watched = Watched(caps, period, s.least_transactions)
        self._bank = ProfileBank(s.window_seconds)
        self._bands = StlBands()
        self._past = Past(s.window_seconds, s.amend_minutes)
        self._events = Events(s.threshold, rest, steps(s.severity), self._past.span)
        self._parts: tuple[Part, ...] = (
            self._windows,
            self._watched,
            self._bank,
            self._bands,
            self._past,
            self._events,
        )
        self._runs = self._ignored = 0

    @property
    def runs(self) -> int:
        """How many windows were judged since the start."""
        return self._runs

    @property
    def late(self) -> int:
        """How many rows came after their window had closed."""
        return self._windows.late

    def late_times(self) -> list[int]:
        """Return the event times, in milliseconds, of the rows that were late since this was asked last."""
        return self._windows.late_times()

    @property
    def ignored(self) -> int:
        """How many of those came so late that nothing was judged again, since the start."""
        return self._ignored

    @property
    def series(self) -> list[str]:
        """The names of the watched series; a series' registered number is its place."""
        return list(self._watched.names)

    def step(
        self, batch: pl.DataFrame, now: datetime | None = None
    ) -> tuple[list[SeriesPoint], list[Anomaly]]:
        """Count a batch of the feed and judge the windows that it closes.

        Args:
            batch: rows with the columns of `columns.FEED`, in the order of the feed.
            now: wall-clock time, for `detected_at`; None: the end of the window.

        Returns:
            One point per window and series, and the anomalies: one per event, given again under the
            same id when the event grows to a higher severity.  Both are given again, too, when what came
            late changes them; an event that was none then is given as withdrawn.
        """
        self._windows.add(batch)
        points: list[SeriesPoint] = []
        anomalies: list[Anomaly] = []
        for window, totals in self._windows.closed():
            self._runs += 1
            late = self._windows.came_late(window)
            for new_points, new_anomalies in (self._amend(late, now), self._judge(window, totals, now)):
                points += new_points
                anomalies += new_anomalies
        return points, anomalies

    def dump(self) -> dict[str, Any]:
        """Return all state: arrays, lists of texts, and numbers."""
        kept: dict[str, Any] = {"traffic.window_seconds": self._settings.window_seconds}
        for part in self._parts:
            kept |= part.dump()
        return kept

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Become the watch that was dumped.

        Raises:
            SnapshotError: the dump is of another version or of another window length.
        """
        if kept.get("traffic.window_seconds") != self._settings.window_seconds:
            raise SnapshotError("the snapshot of the traffic series was made with another window length")
        try:
            for part in self._parts:
                part.restore(kept)
        except KeyError as missing:
            raise SnapshotError(f"the snapshot of the traffic series lacks {missing}") from missing

    def _judge(
        self, window: int, totals: Totals, now: datetime | None
    ) -> tuple[list[SeriesPoint], list[Anomaly]]:
        self._watched.note(window, totals)
        seen = self._measure(totals)
        clock = self._clock(window)
        days = self._days.of(clock, self._watched.keys)
        found = self._bank.step(clock, days, seen["value"], seen["exposure"], seen["largest"])
        is_shown = (self._metric() == COUNT) & (days < HOLIDAY)
        eye = np.where(is_shown, self._bands.step(clock, np.where(is_shown, seen["value"], np.nan)), np.nan)
        raised = self._events.step(window, found["evidence"])
        judged = judged_of(seen, _with_band(found, eye), np.maximum(seen["exposure"], 1.0))
        self._past.keep(window, judged)
        anomalies = [self._anomaly(each, found[each.event.series], now) for each in raised]
        return self._points(window, judged), anomalies

    def _amend(
        self, late: Mapping[int, Totals], now: datetime | None
    ) -> tuple[list[SeriesPoint], list[Anomaly]]:
        """Judge the windows again in which something came late, and those whose sums hold them."""
        windows = [window for window in sorted(late) if self._past.holds(window)]
        self._ignored += sum(late[window][EVERYTHING][0] for window in late if window not in windows)
        if not windows:
            return [], []
        before = np.stack([self._past.row(window) for window in windows])
        more = np.stack([self._measure(late[window]) for window in windows])
        after = with_late(before, more, self._metric() == DECLINED)
        ages = self._past.newest - np.array(windows, np.int64)
        clocks = self._clocks(range(self._past.newest, min(windows) - 1, -1))
        days = np.stack([self._days.of(clock, self._watched.keys) for clock in clocks.tolist()])
        found = self._bank.amend(ages, clocks[ages], days, seen_in(before), after)
        changed = self._past.correct(windows, after, found["evidence"])
        points = [
            point
            for window, which in changed
            for point in self._points(window, self._past.row(window), which)
        ]
        return points, self._judged_again(found["evidence"], now)

    def _judged_again(self, evidence: Floats, now: datetime | None) -> list[Anomaly]:
        """Return the anomalies that are graded otherwise, withdrawn or new; evidence by age and series."""
        newest, oldest = self._past.newest, self._past.oldest
        anomalies = []
        for series in np.flatnonzero(np.isfinite(evidence).any(axis=0)).tolist():
            first = newest - int(np.flatnonzero(np.isfinite(evidence[:, series])).max())
            for raised in self._events.amend(series, oldest, first, self._past.evidence(series)):
                age, event = newest - raised.window, raised.event
                told = self._bank.stretch(series, age, event.rows) if event.withdrawn else None
                found = self._judged(series, raised.window, age) if told is None else told
                anomalies.append(self._anomaly(raised, found, now, late=True))
        return anomalies

    def _measure(self, totals: Totals) -> Records:
        """Return what was seen of every series (SEEN), shape (series,); a share of nothing is nan."""
        table = self._watched.table(totals)
        places, metric = self._watched.places(), self._metric()
        exposures = np.where(metric == DECLINED, table[places, COUNT], 1.0)
        largest = np.where(metric == AMOUNT, table[places, LARGEST], 0.0)
        return seen_of(np.where(exposures > 0, table[places, metric], np.nan), exposures, largest)

    def _metric(self) -> npt.NDArray[np.intp]:
        return np.array(self._watched.metrics, np.intp)

    def _judged(self, series: int, window: int, age: int) -> Record:
        """Return a window of so long ago of one series, as it is scored now."""
        (day,) = self._days.of(self._clock(window), [self._watched.keys[series]]).tolist()
        return self._bank.judged(series, age, day)

    def _clock(self, window: int) -> int:
        return int(self._clocks([window])[0])

    def _clocks(self, windows: Sequence[int]) -> Times:
        """Return the local clock at the starts of windows, in milliseconds, shape (windows,)."""
        starts = np.array(windows, np.int64) * (self._settings.window_seconds * 1000)
        return local_ms(starts, self._settings.calendar.zone)

    def _points(
        self, window: int, judged: Records, which: npt.NDArray[np.intp] | None = None
    ) -> list[SeriesPoint]:
        """Return a window's points: of every series, or of some, by their numbers."""
        start, seconds = self._start(window), self._settings.window_seconds
        numbers = np.arange(len(judged)) if which is None else which
        rows = judged[numbers]
        values = rows["value"] / np.maximum(rows["exposure"], 1.0)
        columns = (values, *(rows[name] for name in ("expected", "low", "high")), hundreds(rows["evidence"]))
        return [
            SeriesPoint(
                series=self._watched.names[number],
                start=start,
                seconds=seconds,
                value=value,
                expected=_known(expected),
                low=_known(low),
                high=_known(high),
                score=_known(score),
            )
            for number, value, expected, low, high, score in zip(
                numbers.tolist(), *(column.tolist() for column in columns), strict=True
            )
            if _worth_keeping(self._watched.keys[number][0], value, score)
        ]

    def _anomaly(self, raised: Raised, found: Record, now: datetime | None, *, late: bool = False) -> Anomaly:
        number = raised.event.series
        windows = int(self._bank.windows_seen()[number])
        series = self._series_of(number, raised.window)
        return anomaly_of(series, raised, found, windows, now=now, late=late)

    def _series_of(self, number: int, window: int) -> Series:
        """Return a series as it is told of in a window."""
        key = self._watched.keys[number]
        return Series(
            name=self._watched.names[number],
            key=key,
            metric=METRICS[self._watched.metrics[number]],
            seconds=self._settings.window_seconds,
            note=self._days.note(self._clock(window), key),
        )

    def _start(self, window: int) -> datetime:
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=window * self._settings.window_seconds)


def _with_band(found: Records, expected: Floats) -> Records:
    """Return the results with STL's expectation where there is one, the band as wide as the profile's."""
    shown = found.copy()
    known = np.isfinite(expected) & np.isfinite(found["expected"])
    root = np.sqrt(expected[known])
    half = np.sqrt(found["high"][known]) - np.sqrt(found["expected"][known])
    shown["expected"][known] = expected[known]
    shown["low"][known] = np.maximum(root - half, 0.0) ** 2
    shown["high"][known] = (root + half) ** 2
    return shown


def _worth_keeping(kind: str, value: float, score: float) -> bool:
    """Tell whether a window is a point: a share of nothing is none, nor a merchant's ordinary silence.

    Merchants have most of the windows and most of those are empty; a reader takes a missing one as zero.
    """
    if math.isnan(value):
        return False
    return kind != "merchant" or value != 0 or score >= REMARKABLE


def _known(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 - nan
