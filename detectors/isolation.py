"""The life of isolation forests: a kept sample, fits aside, a challenger in shadow, a champion that counts.

All of it goes by event time, so the same stream gives the same forests wherever batches are cut:

1. Of each day's payments some are kept; what was suspected, flagged or confirmed as fraud is not.
2. The first forest is fitted once `warm_up` payments were seen, and counts at once.
3. Later ones are fitted when a day begins: after a day, two days, four, and so on up to every
   `refit_days`.  A fit runs aside, in another thread, from the sample as it stood then.
4. From an hour later on it scores in shadow, beside the forest that counts.
5. At the next beginning of a day, with enough payments, it takes over, unless it was worse on them
   (`heldback`).
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from detectors import heldback
from detectors.fittedforest import FittedForest, Origin, unpacked
from detectors.method import Evidence
from detectors.settings import Forest
from detectors.state import State, Table
from detectors.trees import FEATURES, LEAVES, Sample, Trees, fitted
from detectors.types import Flags, Hashes, Times
from txwatch.registry import ModelChange, ModelEvent

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS

_SEEN, _KEPT, _NEWEST, _FITS, _FITTED, _DAY_ROWS, _STRIDE, _WAITING, _HELD, _LEFT_OUT = range(10)
_CLOCK_WIDTH = 10

_aside = ThreadPoolExecutor(1, thread_name_prefix="forest")


class Isolation:
    """The forests of one detector, the sample that they are fitted to, and when what is due."""

    def __init__(self, settings: Forest) -> None:
        self._settings = settings
        rows = settings.sample_rows
        self.sample = State(
            x=Table("", (FEATURES,), "f4", rows_each=rows),
            key=Table("", (), "u8", rows_each=rows),
            number=Table("", (), "i8", rows_each=rows),
            time=Table("", (), "i8", rows_each=rows),
            clock=Table("", (), "i8", rows_each=_CLOCK_WIDTH),
        )
        self.champion = FittedForest(settings)
        self.challenger = FittedForest(settings)
        self._fitting: Future[Trees] | None = None
        self._changes: list[ModelChange] = []

    def states(self) -> Mapping[str, State]:
        """Return everything that is remembered; waits for a fit that is under way."""
        self._settle()
        return {
            "sample": self.sample,
            "champion": self.champion.state,
            "challenger": self.challenger.state,
        }

    def cuts(self, times: Times) -> npt.NDArray[np.int64]:
        """Return the rows before which something may be due: none may lie within what `score` is given."""
        reached = np.maximum.accumulate(np.concatenate(([self._clock(_NEWEST)], times)))
        new_days = np.flatnonzero(np.diff(reached // _DAY_MS))
        began = np.append(reached[new_days + 1], self._clock(_WAITING))
        in_shadow = np.searchsorted(reached[1:], began + _HOUR_MS)
        warm = self._settings.warm_up - self._clock(_SEEN)
        cuts = np.concatenate([new_days, in_shadow, [warm]])
        return cuts[(cuts > 0) & (cuts < len(times))]

    def score(self, times: Times, keys: Hashes, x: Sample, suspected: Flags) -> Evidence:
        """Return the champion's evidence of some rows; then learn those that are not suspected.

        Args:
            times: shape (n,); event times in milliseconds.
            keys: shape (n,); of the transactions.
            x: shape (n, FEATURES); deviations.
            suspected: shape (n,); what other detectors hold for likelier fraud than not.
        """
        if len(times):
            self._begin(int(times[0]))
        found = self.champion.score(x)
        if self._is_in_shadow:
            rival = self.challenger.score(x)
            heldback.watch(self.champion.state, found.observed, found.log_odds, suspected)
            heldback.watch(self.challenger.state, rival.observed, rival.log_odds, suspected)
        self._keep(times, keys, x, ~suspected)
        return found

    def flagged(self, flags: Flags) -> None:
        """Forget those rows that were flagged, of the last ones that were scored."""
        if flags.any():
            first = self._clock(_SEEN) - len(flags) + 1
            self._forget(np.isin(self.sample["number"], first + np.flatnonzero(flags)))

    def leave_out(self, keys: Hashes) -> None:
        """Forget these payments, which were confirmed as frauds."""
        self._forget(np.isin(self.sample["key"], keys) & self._learnt())

    def install(self, payload: bytes, *, held: bool) -> None:
        """Let a kept forest count from now on; `held` says that none replaces it by itself.

        Raises SnapshotError where it is damaged or of another shape; then nothing has changed.
        """
        trees, origin = unpacked(payload)
        self._settle()
        place = FittedForest(self._settings)
        place.put(trees, origin)
        place.begin_with_tail_of(self.champion)
        if self.challenger.is_there and self.challenger.version == place.version:
            place.take(self.challenger)
        self.champion.take(place)
        self._forget_held_back()
        self.sample["clock"][_HELD] = held

    def changes(self) -> list[ModelChange]:
        """Return what happened to the forests since this was asked last."""
        changes, self._changes = self._changes, []
        return changes

    @property
    def is_held(self) -> bool:
        """Whether no forest replaces the champion by itself."""
        return bool(self._clock(_HELD))

    @property
    def _is_in_shadow(self) -> bool:
        return self.challenger.is_there and not self._clock(_WAITING)

    def _clock(self, hand: int) -> int:
        return int(self.sample["clock"][hand])

    def _begin(self, time: int) -> None:
        """Do what is due before a row of this time."""
        clock = self.sample["clock"]
        before, now = int(clock[_NEWEST]), max(time, int(clock[_NEWEST]))
        is_new_day = now // _DAY_MS > before // _DAY_MS
        clock[_NEWEST] = now
        if clock[_WAITING] and now >= clock[_WAITING] + _HOUR_MS:
            self._enter_shadow()
        if is_new_day:
            clock[_STRIDE] = max(1, clock[_DAY_ROWS] // self._settings.rows_per_day)
            clock[_DAY_ROWS] = 0
            self._judge()
        if not self.champion.is_there:
            if is_new_day or clock[_SEEN] == self._settings.warm_up:
                self._fit_the_first()
        elif is_new_day and self._has_rested(now // _DAY_MS) and not self.challenger.is_there:
            self._fit_aside(now)

    def _has_rested(self, day: int) -> bool:
        fits = self._clock(_FITS)
        return day - self._clock(_FITTED) >= min(1 << min(max(fits - 1, 0), 30), self._settings.refit_days)

    def _fit_the_first(self) -> None:
        rows = self._learnt()
        if self._clock(_SEEN) >= self._settings.warm_up and np.count_nonzero(rows) >= LEAVES:
            number = self._clock(_FITS)
            trees = fitted(self.sample["x"][rows], self._settings, number)
            self.champion.put(trees, self._origin(rows, self._clock(_NEWEST)))
            self._count_fit()
            self._tell(ModelEvent.FITTED, self.champion, "the first forest")
            self._tell(ModelEvent.PROMOTED, self.champion, "the first forest counts at once")

    def _fit_aside(self, now: int) -> None:
        rows = self._learnt()
        if np.count_nonzero(rows) < LEAVES or self._fitting is not None:
            return
        kept, number = self.sample["x"][rows], self._clock(_FITS)
        self._waiting = self._origin(rows, now)
        self._fitting = _aside.submit(fitted, kept, self._settings, number)
        self.sample["clock"][_WAITING] = now
        self._count_fit()

    def _count_fit(self) -> None:
        clock = self.sample["clock"]
        clock[_FITS] += 1
        clock[_FITTED] = clock[_NEWEST] // _DAY_MS

    def _settle(self) -> None:
        """Wait for the fit that is under way and put it into its place."""
        if self._fitting is not None:
            self.challenger.put(self._fitting.result(), self._waiting)
            self._fitting = None

    def _enter_shadow(self) -> None:
        self._settle()
        self.sample["clock"][_WAITING] = 0
        self.challenger.begin_with_tail_of(self.champion)
        self._forget_held_back()
        self._tell(ModelEvent.FITTED, self.challenger, "in shadow until it is judged")

    def _forget_held_back(self) -> None:
        heldback.forget(self.champion.state)
        heldback.forget(self.challenger.state)

    def _judge(self) -> None:
        challenger, champion = self.challenger.held_back, self.champion.held_back
        if not self._is_in_shadow or challenger.rows < heldback.LEAST_ROWS:
            return
        worse = heldback.why_worse(challenger, champion)
        if worse or self.is_held:
            why = worse or "no worse, but the forest is held"
            self._tell(ModelEvent.REJECTED, self.challenger, why, beside=champion)
            self.challenger.clear()
        else:
            why = _no_worse(challenger, champion)
            self._tell(ModelEvent.PROMOTED, self.challenger, why, beside=champion)
            self.champion.take(self.challenger)

    def _learnt(self) -> Flags:
        return np.asarray(self.sample["number"] > 0)

    def _forget(self, kept: Flags) -> None:
        self.sample["number"][kept] = 0
        self.sample["clock"][_LEFT_OUT] += np.count_nonzero(kept)

    def _origin(self, rows: Flags, at: int) -> Origin:
        times = self.sample["time"][rows]
        return Origin(
            number=self._clock(_FITS),
            first=int(times.min(initial=at)),
            last=int(times.max(initial=0)),
            rows=int(np.count_nonzero(rows)),
            left_out=self._clock(_LEFT_OUT),
            at=at,
        )

    def _keep(self, times: Times, keys: Hashes, x: Sample, unsuspected: Flags) -> None:
        clock = self.sample["clock"]
        number = clock[_SEEN] + np.arange(len(x))
        chosen = unsuspected & (_scrambled(number) % max(1, self._clock(_STRIDE)) == 0)
        slots = (clock[_KEPT] + np.arange(np.count_nonzero(chosen))) % self._settings.sample_rows
        for name, values in (("x", x), ("key", keys), ("time", times), ("number", number + 1)):
            self.sample[name][slots] = values[chosen]
        clock[_NEWEST] = max(clock[_NEWEST], times.max(initial=0))
        clock[_KEPT] += len(slots)
        clock[_SEEN] += len(x)
        clock[_DAY_ROWS] += len(x)

    def _tell(
        self,
        event: ModelEvent,
        forest: FittedForest,
        sentence: str,
        *,
        beside: heldback.HeldBack | None = None,
    ) -> None:
        """Say what happened to a forest; one that was judged, `beside` the one that counted."""
        is_new = event is ModelEvent.FITTED
        facts = forest.facts() if is_new else msgspec.to_builtins(forest.held_back)
        if beside is not None:
            facts["champion"] = msgspec.to_builtins(beside)
        self._changes.append(
            ModelChange(
                name="forest",
                version=forest.version,
                event=event,
                at=datetime.fromtimestamp(self._clock(_NEWEST) / 1000, UTC),
                sentence=sentence,
                facts=facts,
                payload=forest.payload() if is_new else b"",
            )
        )


def _no_worse(challenger: heldback.HeldBack, champion: heldback.HeldBack) -> str:
    return (
        f"no worse on {challenger.rows:,} held-back payments: isolation of ordinary ones "
        f"{challenger.ordinary:.3f} beside {champion.ordinary:.3f}"
    )


def _scrambled(number: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return a fixed pseudo-random number for each row number (splitmix64)."""
    z = number.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
