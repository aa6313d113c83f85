"""Transactions counted per window of event time, for everything and for each entity."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Key = tuple[str, str]
"""Kind and id of an entity: ("merchant", "m17"); everything together is ("all", "")."""

Totals = dict[Key, tuple[int, int, int, int]]
"""Of one window: transactions, approved amount in thousandths, declined transactions, largest amount."""

COLUMNS = {"channel": "channel", "country": "country", "status": "status", "merchant": "merchant_id"}
LARGEST = 1e12
LONGEST_GAP_SECONDS = 7 * 86_400


class OpenWindows:
    """Counts rows into windows until a window's end plus a grace is behind the newest event time.

    A row whose window has closed when it comes is late: counted and otherwise ignored.  Amounts are
    added as whole thousandths, so that sums do not depend on the order of rows nor on batch cuts.

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
        self._next: int | None = None
        self._longest_gap = LONGEST_GAP_SECONDS // seconds
        self.late = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Count feed rows, in the order of the feed."""
        if rows.is_empty():
            return
        times = np.asarray(rows["timestamp"].dt.epoch("ms").to_numpy())
        windows, late = self._place(times)
        self.late += int(late.sum())
        frame = self._measured(rows, windows).filter(~pl.Series(late))
        for kind, key, window, count, amount, declined, largest in self._grouped(frame).iter_rows():
            totals = self._open.setdefault(window, {})
            before = totals.get((kind, key), (0, 0, 0, 0))
            totals[kind, key] = (
                before[0] + count,
                before[1] + amount,
                before[2] + declined,
                max(before[3], largest),
            )

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

    def dump(self) -> dict[str, Any]:
        """Return all state."""
        flat = [(w, *key, *sums) for w, totals in self._open.items() for key, sums in totals.items()]
        windows, kinds, ids, *sums = zip(*flat, strict=True) if flat else ((),) * 7
        return {
            "windows.newest": int(self._newest),
            "windows.late": self.late,
            "windows.next": np.array([] if self._next is None else [self._next], np.int64),
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
        self._open = {}
        sums = np.asarray(kept["windows.sums"], np.int64).T.tolist()
        numbers = np.asarray(kept["windows.number"]).tolist()
        for window, kind, key, totals in zip(
            numbers, kept["windows.kind"], kept["windows.id"], sums, strict=True
        ):
            self._open.setdefault(window, {})[kind, key] = tuple(totals)

    def _place(self, times: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return each row's window, and whether that was over when the row came."""
        newest = np.maximum.accumulate(np.concatenate(([self._newest], times)))
        self._newest = int(newest[-1])
        windows = times // self._width
        return windows, (windows + 1) * self._width + self._grace <= newest[:-1]

    def _measured(self, rows: pl.DataFrame, windows: npt.NDArray[np.int64]) -> pl.DataFrame:
        amount = pl.col("amount").clip(0.0, LARGEST)
        if self._rates:
            amount *= pl.col("currency").replace_strict(self._rates, default=0.0, return_dtype=pl.Float64)
        approved = pl.col("status") == "approved"
        return rows.select(
            pl.Series("window", windows),
            pl.lit("").alias("all"),
            *(pl.col(column).alias(kind) for kind, column in COLUMNS.items()),
            amount=pl.when(approved).then((amount * 1000.0).round().cast(pl.Int64)).otherwise(0),
            declined=(pl.col("status") == "declined").cast(pl.Int64),
        )

    def _grouped(self, frame: pl.DataFrame) -> pl.DataFrame:
        sums = (
            pl.len().cast(pl.Int64),
            pl.col("amount").sum(),
            pl.col("declined").sum(),
            pl.col("amount").max().alias("largest"),
        )
        parts = [
            frame.drop_nulls(kind).group_by("window", id=kind).agg(*sums, kind=pl.lit(kind))
            for kind in ("all", *COLUMNS)
        ]
        return pl.concat(parts).select("kind", "id", "window", "len", "amount", "declined", "largest")
