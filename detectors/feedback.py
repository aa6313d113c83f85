"""What confirmed frauds say about the payments that follow: optional, from labels that come back late.

A label counts `delay_days` after its payment, never before, so a score with feedback is what a team with
that delay would have had.  Confirmed frauds are counted per entity and event-time day.  How much they say
is learnt: at the first row of each day a logistic regression on the confirmed shares over several windows
(and their products) is fitted to the payments whose labels are due by then, each counting as far as other
detectors do not explain it.  Until there is enough to fit, the share of the last week stands for it.

It counts only once it has shown its worth: what it would have said is kept beside what the others said, and
as long as due labels do not show that both together find more frauds, it is silent (see `worth`).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from detectors.kernels.confirmed import WINDOWS, confirmed_shares, count_days
from detectors.kernels.stretch import ENTITY_LEVEL
from detectors.kernels.tail import SILENT
from detectors.method import Evidence, blank
from detectors.rows import Reported, Rows
from detectors.settings import DetectionSettings, Feedback
from detectors.state import State, Table
from detectors.types import Floats, Hashes, Rows32, Times
from detectors.worth import fitted, has_worth, predicted, unexplained
from txwatch.model import AnomalyType

Places = npt.NDArray[np.int64]

DAY_MS: Final = 86_400_000
_MARGIN: Final = 3
_WEEK: Final = WINDOWS.index(7)
_WIDTH: Final = len(WINDOWS)
_TERMS: Final = _WIDTH + _WIDTH * (_WIDTH + 1) // 2
_MODEL_WIDTH: Final = 1 + 4 * _WIDTH + _TERMS
_LEAST_OF_EACH: Final = 30
"""Confirmed and other rows that a fit needs."""
_MOST: Final = 12.0
_DAY, _KEPT, _FITTED, _LABELS, _TODAY, _SPEAKS = range(6)


@runtime_checkable
class FeedbackMethod(Protocol):
    """A method that learns from confirmed frauds."""

    def confirm(self, frauds: Reported) -> None:
        """Learn that these payments were frauds."""

    def withdraw(self, frauds: Reported) -> None:
        """Forget that these payments were frauds."""

    def cuts(self, times: Times) -> npt.NDArray[np.int64]:
        """Return the rows before which a day begins: `score` is given no rows around them."""

    def beside(self, others: Floats) -> None:
        """Take what all other detectors together say (log odds) of the rows that were scored last."""


class ConfirmedMethod:
    """What the methods on confirmed frauds share: all but their kind of entity and their sentence."""

    type: ClassVar[AnomalyType] = AnomalyType.PATTERN
    entity_kind: ClassVar[str]
    is_bounded: ClassVar[bool] = True

    def __init__(self, settings: DetectionSettings) -> None:
        self._confirmed = Confirmed(settings.feedback or Feedback())

    def states(self) -> Mapping[str, State]:
        """Return the counts by day, the kept sample, the labels and the model."""
        return {"": self._confirmed.state}

    def confirm(self, frauds: Reported) -> None:
        """Learn that these payments were frauds."""
        entity: Rows32 = getattr(frauds, self.entity_kind)
        self._confirmed.confirm(frauds.times, frauds.keys, entity, frauds.sizes[self.entity_kind])

    def withdraw(self, frauds: Reported) -> None:
        """Forget that these payments were frauds."""
        entity: Rows32 = getattr(frauds, self.entity_kind)
        self._confirmed.withdraw(frauds.times, frauds.keys, entity, frauds.sizes[self.entity_kind])

    def cuts(self, times: Times) -> npt.NDArray[np.int64]:
        """Return the rows before which a day begins."""
        return self._confirmed.cuts(times)

    def beside(self, others: Floats) -> None:
        """Keep what the others said of the rows that are kept to learn from."""
        self._confirmed.beside(others)

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score payments of entities with a confirmed fraud; the others are silent."""
        del so_far
        entity: Rows32 = getattr(rows, self.entity_kind)
        log_odds, totals = self._confirmed.score(rows.times, rows.keys, entity, rows.sizes[self.entity_kind])
        found = blank(log_odds)
        found.observed[:], found.size[:] = totals
        found.expected[:] = totals[1] * self._confirmed.usual
        found.level[:] = ENTITY_LEVEL
        return found


class Confirmed:
    """Confirmed frauds of one kind of entity, and the model of what they say."""

    def __init__(self, settings: Feedback) -> None:
        self._settings = settings
        self._last: list[tuple[Places, Places]] = []
        held = settings.delay_days + WINDOWS[-1] + _MARGIN
        samples = settings.rows_per_day * (settings.learn_days + settings.delay_days + 1)
        self.state = State(
            counts=Table("entity", (held,), "f4"),
            frauds=Table("entity", (held,), "f4"),
            clock=Table("", (), "i8", rows_each=6),
            usual=Table("", ()),
            model=Table("", (), rows_each=_MODEL_WIDTH),
            sample=Table("", (_WIDTH,), "f4", rows_each=samples),
            sample_day=Table("", (), "i8", rows_each=samples, fill=-1),
            sample_own=Table("", (), "f4", rows_each=samples),
            sample_others=Table("", (), "f4", rows_each=samples),
            sample_key=Table("", (), "u8", rows_each=samples),
            label_key=Table("", (), "u8", rows_each=settings.labels),
            label_day=Table("", (), "i8", rows_each=settings.labels, fill=-1),
        )

    def confirm(self, times: Times, keys: Hashes, entity: Rows32, entities: int) -> None:
        """Learn that these payments were frauds: when each was, its key and its entity."""
        self.state.grow(entity=entities)
        days = times // DAY_MS
        clock, held = self.state["clock"], self.state["frauds"].shape[1]
        recent = days > clock[_DAY] - held
        np.add.at(self.state["frauds"], (entity[recent], days[recent] % held), 1.0)
        places = (clock[_LABELS] + np.arange(len(keys))) % self._settings.labels
        self.state["label_key"][places], self.state["label_day"][places] = keys, days
        clock[_LABELS] += len(keys)

    def withdraw(self, times: Times, keys: Hashes, entity: Rows32, entities: int) -> None:
        """Forget that these payments were frauds, as far as it was learnt."""
        self.state.grow(entity=entities)
        known = np.isin(keys, self.state["label_key"])
        days, entity = times[known] // DAY_MS, entity[known]
        frauds = self.state["frauds"]
        recent = days > self._clock(_DAY) - frauds.shape[1]
        np.subtract.at(frauds, (entity[recent], days[recent] % frauds.shape[1]), 1.0)
        np.maximum(frauds, 0.0, out=frauds)
        gone = np.isin(self.state["label_key"], keys)
        self.state["label_key"][gone], self.state["label_day"][gone] = 0, -1

    def score(self, times: Times, keys: Hashes, entity: Rows32, entities: int) -> tuple[Floats, Floats]:
        """Return log odds of shape (n,), SILENT without a confirmed fraud, and totals of shape (2, n).

        Totals are the confirmed frauds and all payments of the longest window.  Then counts the rows.
        """
        self.state.grow(entity=entities)
        days = times // DAY_MS
        log_odds, totals = np.full(len(times), SILENT), np.zeros((2, len(times)))
        self._last = []
        for start, stop, day in _days(days, self._clock(_DAY)):
            part = slice(start, stop)
            self._begin(day)
            log_odds[part] = self._score_day(days[part], keys[part], entity[part], totals[:, part], start)
            count_days(days[part], entity[part], day, self.state["counts"])
        return log_odds, totals

    def cuts(self, times: Times) -> npt.NDArray[np.int64]:
        """Return the rows before which a day begins."""
        starts = [start for start, _, _ in _days(times // DAY_MS, self._clock(_DAY)) if start > 0]
        return np.array(starts, dtype=np.int64)

    def beside(self, others: Floats) -> None:
        """Keep what the others said of the rows that `score` kept; `others` of shape (n,) as its rows."""
        for places, rows in self._last:
            self.state["sample_others"][places] = others[rows]
        self._last = []

    @property
    def usual(self) -> float:
        """The share of all payments in sight that was confirmed when the day began."""
        return float(self.state["usual"][0])

    def _clock(self, hand: int) -> int:
        return int(self.state["clock"][hand])

    def _begin(self, day: int) -> None:
        """Forget what leaves the rings as a new day begins, and fit."""
        clock, held = self.state["clock"], self.state["counts"].shape[1]
        passed = min(day - clock[_DAY], held)
        for back in range(passed):
            self.state["counts"][:, (day - back) % held] = 0.0
            self.state["frauds"][:, (day - back) % held] = 0.0
        if passed > 0:
            clock[_DAY], clock[_TODAY] = day, 0
            counted = float(self.state["counts"].sum())
            self.state["usual"][0] = float(self.state["frauds"].sum()) / max(counted, 1.0)
            self._learn(day)

    def _score_day(self, days: Times, keys: Hashes, entity: Rows32, totals: Floats, start: int) -> Floats:
        settings = self._settings
        logits = np.empty((len(days), _WIDTH))
        numbers = np.array([settings.delay_days, settings.prior_rows, settings.prior_share])
        found = np.empty((2, len(days)))
        confirmed_shares(days, entity, self.state["counts"], self.state["frauds"], numbers, logits, found)
        totals[:] = found
        speaks = found[0] > 0.0
        own = self._log_odds(logits[speaks])
        self._keep(logits[speaks], own, days[speaks], keys[speaks], start + np.flatnonzero(speaks))
        log_odds = np.full(len(days), SILENT)
        if self._clock(_SPEAKS):
            log_odds[speaks] = own
        return log_odds

    def _log_odds(self, logits: Floats) -> Floats:
        if not self._clock(_FITTED):
            return np.minimum(logits[:, _WEEK], _MOST)
        return np.clip(predicted(self.state["model"], logits), SILENT + 1.0, _MOST)

    def _keep(self, logits: Floats, own: Floats, days: Times, keys: Hashes, rows: Places) -> None:
        """Keep the first rows of the day to learn from; `rows` are their places among those scored."""
        clock = self.state["clock"]
        count = min(len(days), self._settings.rows_per_day - int(clock[_TODAY]))
        places = (clock[_KEPT] + np.arange(count)) % len(self.state["sample"])
        self.state["sample"][places] = logits[:count]
        self.state["sample_day"][places], self.state["sample_key"][places] = days[:count], keys[:count]
        self.state["sample_own"][places] = own[:count]
        self._last.append((places, rows[:count]))
        clock[_KEPT] += count
        clock[_TODAY] += count

    def _learn(self, day: int) -> None:
        """See from due labels whether this finds anything, then fit to them."""
        due = day - self._settings.delay_days
        state, days = self.state, self.state["sample_day"]
        known = (days >= 0) & (days < due) & (days >= due - self._settings.learn_days)
        labels = state["label_key"][(state["label_day"] >= 0) & (state["label_day"] < due)]
        bad = np.isin(state["sample_key"][known], labels)
        others = state["sample_others"][known].astype(np.float64)
        state["clock"][_SPEAKS] = has_worth(others, state["sample_own"][known].astype(np.float64), bad)
        if min(bad.sum(), (~bad).sum()) >= _LEAST_OF_EACH:
            state["model"][:] = fitted(state["sample"][known].astype(np.float64), bad, unexplained(others))
            state["clock"][_FITTED] = day


def _days(days: Times, newest: int) -> Iterator[tuple[int, int, int]]:
    """Yield stretches of rows with the newest day so far: start, stop, day."""
    reached = np.maximum.accumulate(np.maximum(days, newest))
    cuts = [0, *(np.flatnonzero(np.diff(reached)) + 1).tolist(), len(days)]
    for start, stop in pairwise(cuts):
        if stop > start:
            yield start, stop, int(reached[start])
