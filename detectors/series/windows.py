"""Transactions counted per window of event time, for everything and for each entity."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Key = tuple[str, str]
"""Kind and id of an entity: ("merchant", "m17"); everything together is ("all", "")."""

Sums = tuple[int, int, int, int]
"""Transactions, approved amount in thousandths, declined transactions, largest amount."""

Totals = dict[Key, Sums]
"""Of one window."""

Whole = npt.NDArray[np.int64]

COLUMNS = {"channel": "channel", "country": "country", "status": "status", "merchant": "merchant_id"}
KINDS = ("all", *COLUMNS)
LARGEST = 1e12
LONGEST_GAP_SECONDS = 7 * 86_400
NEVER = np.iinfo(np.int64).max
"""Stands for the window that closes next where a row is not late."""


class OpenWindows:
    """Counts rows into windows until a window's end plus a grace is behind the newest event time.

    A row whose window has closed when it comes is late, and kept apart until the next window closes
    (`came_late`).  Amounts are added as whole thousandths, so that sums do not depend on the order of rows
    nor on batch cuts.

    Args:
        seconds: length of a window; windows start at multiples of it since 1970.
        grace: seconds of event time that a window stays open after its end.
        rates: value of one unit of a currency in the base currency; a currency without one adds nothing
            to amounts, unless no rates are given at all (then amounts are taken as they are).
    """

    def __init__(self, seconds: int, grace: float, rates: Mapping[str, float]) -> None:
        self._width = seconds * 1000
        self._grace = round(grace * 1000)
        self._rates = dict(rates)
        self._newest = np.iinfo(np.int64).min
        self._open: dict[int, Totals] = {}
        self._late: dict[int, dict[int, Totals]] = {}
        """By the window that closes next when they come, then by their own."""
        self._ids = {kind: _Names() for kind in KINDS}
        self._ids["all"].rows(pl.Series([""]))
        self._next: int | None = None
        self._longest_gap = LONGEST_GAP_SECONDS // seconds
        self.late = 0
        self._late_times: list[int] = []

    def late_times(self) -> list[int]:
        """Return the event times, in milliseconds, of the rows that were late since this was asked last."""
        told, self._late_times = self._late_times, []
        return told

    def add(self, rows: pl.DataFrame) -> None:
        """Count feed rows, in the order of the feed."""
        if rows.is_empty():
            return
        times = np.asarray(rows["timestamp"].dt.epoch("ms").to_numpy())
        windows, late, following = self._place(times)
        self.late += int(late.sum())
        self._late_times += times[late].tolist()
        amounts, declined = self._measured(rows)
        parts = [
            (self._late.setdefault(closing, {}), np.flatnonzero(late & (following == closing)))
            for closing in np.unique(following[late]).tolist()
        ]
        parts.append((self._open, np.flatnonzero(~late)))
        for kind in KINDS:
            entities = self._entities(kind, rows)
            for into, part in parts:
                groups = grouped(windows[part], entities[part], amounts[part], declined[part])
                self._count(kind, groups, into)

    def closed(self) -> Iterator[tuple[int, Totals]]:
        """Yield number (start = number * seconds) and totals of each window that is over, oldest first.

        Windows without any transaction are yielded too, unless more than a week of them lies between.
        """
        over = (self._newest - self._grace) // self._width
        if self._next is None and any(window < over for window in self._open):
            self._next = min(self._open)
        while self._next is not None and self._next < over:
            # The newest row's window is always open, so there is one to look forward to.
            filled = min(self._open)
            if filled - self._next > self._longest_gap:
                if filled >= over:
                    return
                self._next = filled
            window = self._next
            self._next += 1
            yield window, self._open.pop(window, {})

    def came_late(self, window: int) -> dict[int, Totals]:
        """Return what came late before this window closed, by its own window; each is returned once."""
        found: dict[int, Totals] = {}
        for closing in sorted(closing for closing in self._late if closing <= window):
            for late, totals in self._late.pop(closing).items():
                into = found.setdefault(late, {})
                for key, sums in totals.items():
                    into[key] = _together(into.get(key), sums)
        return found

    def dump(self) -> dict[str, Any]:
        """Return all state, in an order of its own: the same windows give the same dump."""
        kept = {NEVER: self._open, **self._late}
        flat = sorted(
            (closing, window, *key, *sums)
            for closing, by_window in kept.items()
            for window, totals in by_window.items()
            for key, sums in totals.items()
        )
        closings, windows, kinds, ids, *sums = zip(*flat, strict=True) if flat else ((),) * 8
        return {
            "windows.newest": int(self._newest),
            "windows.late": self.late,
            "windows.next": np.array([] if self._next is None else [self._next], np.int64),
            "windows.closing": np.array(closings, np.int64),
            "windows.number": np.array(windows, np.int64),
            "windows.kind": list(kinds),
            "windows.id": list(ids),
            "windows.sums": np.array(sums, np.int64),
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over a dump."""
        self._newest = int(kept["windows.newest"])
        self.late = int(kept["windows.late"])
        following = np.asarray(kept["windows.next"]).tolist()
        self._next = following[0] if following else None
        self._open, self._late = {}, {}
        sums = np.asarray(kept["windows.sums"], np.int64).T.tolist()
        numbers = np.asarray(kept["windows.number"]).tolist()
        closings = np.asarray(kept["windows.closing"]).tolist()
        for closing, window, kind, key, totals in zip(
            closings, numbers, kept["windows.kind"], kept["windows.id"], sums, strict=True
        ):
            into = self._open if closing == NEVER else self._late.setdefault(closing, {})
            into.setdefault(window, {})[kind, key] = tuple(totals)

    def _place(self, times: Whole) -> tuple[Whole, npt.NDArray[np.bool_], Whole]:
        """Return each row's window, whether that was over when the row came, and which was to close next."""
        newest = np.maximum.accumulate(np.concatenate(([self._newest], times)))
        self._newest = int(newest[-1])
        windows = times // self._width
        late = (windows + 1) * self._width + self._grace <= newest[:-1]
        following = np.where(late, (newest[:-1] - np.where(late, self._grace, 0)) // self._width, NEVER)
        return windows, late, following

    def _measured(self, rows: pl.DataFrame) -> tuple[Whole, Whole]:
        """Return the approved amount in thousandths and whether it was declined, shape (n,) each."""
        amount = pl.col("amount").clip(0.0, LARGEST)
        if self._rates:
            amount *= pl.col("currency").replace_strict(self._rates, default=0.0, return_dtype=pl.Float64)
        measured = rows.select(
            pl.when(pl.col("status") == "approved").then((amount * 1000.0).round()).otherwise(0.0),
            declined=pl.col("status") == "declined",
        )
        return measured.to_series(0).cast(pl.Int64).to_numpy(), measured["declined"].cast(pl.Int64).to_numpy()

    def _entities(self, kind: str, rows: pl.DataFrame) -> Whole:
        """Return each row's entity of this kind as a number, shape (n,); -1 for none."""
        if kind == "all":
            return np.zeros(rows.height, np.int64)
        return self._ids[kind].rows(rows[COLUMNS[kind]])

    def _count(self, kind: str, groups: Iterable[Sequence[int]], into: dict[int, Totals]) -> None:
        names = self._ids[kind].names
        for window, entity, *sums in groups:
            totals = into.setdefault(window, {})
            key = (kind, names[entity])
            totals[key] = _together(totals.get(key), sums)


def _together(before: Sums | None, more: Sequence[int]) -> Sums:
    count, amount, declined, largest = more
    if before is None:
        return count, amount, declined, largest
    return before[0] + count, before[1] + amount, before[2] + declined, max(before[3], largest)


class _Names:
    """Id -> number, and back; numbers mean something within this process only."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.names: list[str] = []

    def rows(self, ids: pl.Series) -> Whole:
        """Return the number of each id, shape (n,); null gives -1."""
        numbers, names = self._numbers, self.names
        found = [-1 if name is None else numbers.get(name, -2) for name in ids.to_list()]
        if -2 in found:
            for name in ids.drop_nulls().unique().to_list():
                if name not in numbers:
                    numbers[name] = len(names)
                    names.append(name)
            return self.rows(ids)
        return np.array(found, np.int64)


def grouped(windows: Whole, entities: Whole, amounts: Whole, declined: Whole) -> Iterator[tuple[int, ...]]:
    """Yield window, entity, count, amount, declined and largest amount of each group of rows.

    Rows whose entity is negative are in no group.  All arrays have the shape (n,).
    """
    rows = np.flatnonzero(entities >= 0)
    if rows.size == 0:
        return iter(())
    order = rows[np.lexsort((entities[rows], windows[rows]))]
    window, entity = windows[order], entities[order]
    new = np.concatenate(([True], (window[1:] != window[:-1]) | (entity[1:] != entity[:-1])))
    first = np.flatnonzero(new)
    columns = (
        window[first],
        entity[first],
        np.diff(np.append(first, order.size)),
        np.add.reduceat(amounts[order], first),
        np.add.reduceat(declined[order], first),
        np.maximum.reduceat(amounts[order], first),
    )
    return zip(*(column.tolist() for column in columns), strict=True)
