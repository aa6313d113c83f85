"""What confirmed frauds say about each detector's scale: 3 log odds should be 20 frauds to 1 payment.

Where a detector leads (its evidence is the largest, and above 1 in 400), the payments are kept with what it
said.  Once their labels are due, a line per detector, log odds = a + b x evidence, is fitted to them by
logistic regression (Platt 1999), drawn to a = 0, b = 1 by as many imagined payments as a careful reader
would give it.  A detector that cries wolf in this stream is lowered, one that is always right is raised.

Past only: fitted at the first payment of each day to the last weeks whose labels are due; nothing moves
before there are enough confirmed frauds.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from detectors.kernels.tail import LIMIT, SILENT
from detectors.rows import Reported, Rows
from detectors.settings import Feedback
from detectors.state import Array, State, Table
from detectors.types import Flags, Floats, Times

DAY_MS: Final = 86_400_000
LEAST_FRAUDS: Final = 30
"""Confirmed frauds, of all detectors together, that a fit needs."""
LEAST_ROWS: Final = 50
"""Payments in which a detector leads that its line needs."""
ENDS: Final = 6.0
"""Evidence beyond it goes on with slope 1."""
_IMAGINED: Final = np.linspace(-ENDS, ENDS, 13)
_STEEP: Final = (0.2, 5.0)
_SAID: Final = float(np.nextafter(SILENT, 0.0))
_DAY, _KEPT, _TODAY, _LABELS, _SEEN, _EVERY = range(6)


class ProvenScale:
    """A line per detector, and the payments and labels that it is fitted to."""

    def __init__(self, names: Sequence[str], settings: Feedback) -> None:
        self._settings = settings
        samples = settings.rows_per_day * (settings.learn_days + settings.delay_days + 1)
        self.state = _Kept(
            [crc32(name.encode()) for name in names],
            lines=Table("", (2,), rows_each=max(len(names), 1)),
            names=Table("", (), "u4", rows_each=max(len(names), 1)),
            clock=Table("", (), "i8", rows_each=6),
            key=Table("", (), "u8", rows_each=samples),
            day=Table("", (), "i8", rows_each=samples, fill=-1),
            leads=Table("", (), "u4", rows_each=samples),
            value=Table("", (), "f4", rows_each=samples),
            label_key=Table("", (), "u8", rows_each=settings.labels),
            label_day=Table("", (), "i8", rows_each=settings.labels, fill=-1),
        )
        self.state["clock"][_EVERY] = 1

    def confirm(self, frauds: Reported) -> None:
        """Learn that these payments were frauds."""
        clock = self.state["clock"]
        places = (clock[_LABELS] + np.arange(len(frauds.keys))) % self._settings.labels
        self.state["label_key"][places] = frauds.keys
        self.state["label_day"][places] = frauds.times // DAY_MS
        clock[_LABELS] += len(frauds.keys)

    def withdraw(self, frauds: Reported) -> None:
        """Forget that these payments were frauds."""
        gone = np.isin(self.state["label_key"], frauds.keys)
        self.state["label_key"][gone], self.state["label_day"][gone] = 0, -1

    def cuts(self, times: Times) -> npt.NDArray[np.int64]:
        """Return the rows before which a day begins: `step` is given no rows around them."""
        reached = np.maximum.accumulate(np.maximum(times // DAY_MS, self.state["clock"][_DAY]))
        return np.asarray(np.flatnonzero(np.diff(reached)) + 1, dtype=np.int64)

    def step(self, rows: Rows, evidence: Floats) -> Floats:
        """Return the evidence, shape (n, methods), on the scale that labels have proven; keep its rows."""
        if len(rows) == 0:
            return evidence
        self._begin(int(rows.times.max()) // DAY_MS)
        self._keep(rows, evidence)
        inner = np.clip(evidence, -ENDS, ENDS)
        start, slope = self.state["lines"][: evidence.shape[1]].T
        moved = evidence + start + (slope - 1.0) * inner
        proven: Floats = np.where(evidence > SILENT, np.clip(moved, _SAID, LIMIT), evidence)
        return proven

    def _begin(self, day: int) -> None:
        clock = self.state["clock"]
        if day > clock[_DAY]:
            clock[_EVERY] = max(1, -(-int(clock[_SEEN]) // self._settings.rows_per_day))
            clock[_DAY], clock[_TODAY], clock[_SEEN] = day, 0, 0
            self._fit(day)

    def _keep(self, rows: Rows, evidence: Floats) -> None:
        """Keep payments with a leading detector; of many, as evenly as the day before lets expect."""
        clock = self.state["clock"]
        leads = evidence.argmax(axis=1)
        value = evidence[np.arange(len(rows)), leads]
        speaks = value > -ENDS
        clock[_SEEN] += int(speaks.sum())
        chosen = np.flatnonzero(speaks & (rows.keys % np.uint64(clock[_EVERY]) == 0))
        chosen = chosen[: self._settings.rows_per_day - int(clock[_TODAY])]
        places = (clock[_KEPT] + np.arange(len(chosen))) % len(self.state["key"])
        self.state["key"][places], self.state["day"][places] = rows.keys[chosen], rows.times[chosen] // DAY_MS
        self.state["leads"][places] = self.state["names"][leads[chosen]]
        self.state["value"][places] = value[chosen]
        clock[_KEPT] += len(chosen)
        clock[_TODAY] += len(chosen)

    def _fit(self, day: int) -> None:
        due = day - self._settings.delay_days
        state, days = self.state, self.state["day"]
        known = (days >= 0) & (days < due) & (days >= due - self._settings.learn_days)
        labels = state["label_key"][(state["label_day"] >= 0) & (state["label_day"] < due)]
        bad = np.isin(state["key"][known], labels)
        if bad.sum() < LEAST_FRAUDS:
            return
        for k in range(len(state["lines"])):
            led = state["leads"][known] == state["names"][k]
            if led.sum() >= LEAST_ROWS:
                state["lines"][k] = line(state["value"][known][led].astype(np.float64), bad[led])


class _Kept(State):
    """Lines by method: those of a dump go to the methods of the same names, others start straight."""

    def __init__(self, numbers: Sequence[int], **tables: Table) -> None:
        super().__init__(**tables)
        self["lines"][:, 1] = 1.0
        self["names"][: len(numbers)] = numbers

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over a dump; raises SnapshotError where an array is missing or has another shape."""
        lines, names = self["lines"].copy(), self["names"].copy()
        places = {int(name): row for row, name in enumerate(arrays.get("names", ()))}
        for row, name in enumerate(names.tolist()):
            if name in places and "lines" in arrays:
                lines[row] = arrays["lines"][places[name]]
        super().load({**arrays, "lines": lines, "names": names})


def line(evidence: Floats, bad: Flags) -> Sequence[float]:
    """Return a and b of log odds = a + b x evidence, fitted to payments of shape (n,)."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - takes a second, seldom needed

    chance = 1.0 / (1.0 + np.exp(-_IMAGINED))
    x = np.concatenate([np.clip(evidence, -ENDS, ENDS), _IMAGINED, _IMAGINED])
    y = np.concatenate([bad, np.ones_like(chance, bool), np.zeros_like(chance, bool)])
    weight = np.concatenate([np.ones(len(bad)), chance, 1.0 - chance])
    fit = LogisticRegression(C=100.0).fit(x[:, None], y, sample_weight=weight)
    return float(fit.intercept_[0]), float(np.clip(fit.coef_[0, 0], *_STEEP))
