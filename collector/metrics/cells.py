"""The windows that are being counted, in arrays: one row a (window, dimension, value)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.metrics import amounts, users
from collector.metrics.keys import Key, Pairs
from txwatch.ports import TrafficPoint

FIRST_SIZE = 256
NOTHING = -(2**62)
"""Before every sequence."""

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Cells:
    """Counts, totals and sketches by packed key; what changed since the last writing is `dirty`."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._arrays = _arrays(FIRST_SIZE)

    def __len__(self) -> int:
        """Return how many cells are held."""
        return len(self._slots)

    @property
    def dirty(self) -> int:
        """How many cells changed since they were written."""
        return int(self._arrays["dirty"].sum())

    def put(self, key: int, point: TrafficPoint) -> None:
        """Take over a stored window."""
        slot = int(self._at(np.array([key]))[0])
        a = self._arrays
        for name in ("through", "count", "declined", "total", "lag_total", "lag_max"):
            a[name][slot] = getattr(point, name)
        a["users"][slot] = users.unpack(point.user_sketch)
        a["amounts"][slot] = amounts.unpack(point.amount_sketch)

    def add(self, pairs: Pairs, rows: "Figures") -> None:
        """Count each transaction in each of its windows, except where it is counted already."""
        slots = self._at(pairs.keys)
        new = rows.sequence[pairs.row] > self._arrays["through"][slots][pairs.group]
        row, group = pairs.row[new], pairs.group[new]
        self._count(slots, row, group, rows)
        slot = slots[group]
        np.maximum.at(
            self._arrays["users"].reshape(-1), slot * users.REGISTERS + rows.register[row], rows.rank[row]
        )
        priced = rows.priced[row]
        np.add.at(self._arrays["amounts"].reshape(-1), slot[priced] * amounts.BINS + rows.bin[row[priced]], 1)
        np.maximum.at(self._arrays["through"], slot, rows.sequence[row])
        np.maximum.at(self._arrays["lag_max"], slot, rows.lag[row])
        self._arrays["dirty"][slot] = True

    def changed(self, read: Callable[[int], Key]) -> list[TrafficPoint]:
        """Return what was changed, as points."""
        dirty = self._arrays["dirty"]
        return [self._point(read(key), slot) for key, slot in self._slots.items() if dirty[slot]]

    def clean(self, keep: Callable[[int], bool]) -> None:
        """Note that everything is written, and forget the cells that are not to be kept."""
        self._arrays["dirty"][:] = False
        kept = {key: slot for key, slot in self._slots.items() if keep(key)}
        if len(kept) == len(self._slots):
            return
        old, slots = self._arrays, np.fromiter(kept.values(), dtype=np.int64, count=len(kept))
        self._arrays = _arrays(max(FIRST_SIZE, 2 * len(kept)))
        for name, array in self._arrays.items():
            array[: len(slots)] = old[name][slots]
        self._slots = dict(zip(kept, range(len(kept)), strict=True))

    def _count(self, slots: Numbers, row: Numbers, group: Numbers, rows: "Figures") -> None:
        a, size = self._arrays, len(slots)
        a["count"][slots] += np.bincount(group, minlength=size)
        for name in ("declined", "total", "lag_total"):
            weights = rows.lag if name == "lag_total" else getattr(rows, name)
            sums = np.bincount(group, weights=weights[row], minlength=size)
            a[name][slots] += sums.astype(a[name].dtype)

    def _at(self, keys: Numbers) -> Numbers:
        """Return the slots of keys, new ones empty."""
        known = self._slots
        found = [known.setdefault(key, len(known)) for key in keys.tolist()]
        if len(known) > len(self._arrays["count"]):
            self._grow(len(known))
        return np.array(found, dtype=np.int64)

    def _grow(self, needed: int) -> None:
        old = self._arrays
        self._arrays = _arrays(2 * needed)
        for name, array in self._arrays.items():
            array[: len(old[name])] = old[name]

    def _point(self, key: Key, slot: int) -> TrafficPoint:
        a = self._arrays
        registers, bins = a["users"][slot], a["amounts"][slot]
        return TrafficPoint(
            source=key.partition.source,
            partition=key.partition.partition,
            seconds=key.seconds,
            start=key.start,
            dimension=key.dimension,
            value=key.value,
            through=int(a["through"][slot]),
            count=int(a["count"][slot]),
            declined=int(a["declined"][slot]),
            total=float(a["total"][slot]),
            lag_total=float(a["lag_total"][slot]),
            lag_max=float(a["lag_max"][slot]),
            users=users.estimate(registers),
            p50=amounts.quantile(bins, 0.5),
            p95=amounts.quantile(bins, 0.95),
            user_sketch=users.pack(registers),
            amount_sketch=amounts.pack(bins),
        )


class Figures:
    """What is counted of each transaction of a batch.

    `rates` are values of currencies in the base currency; an amount without one is not added up.  Where
    there are no rates at all, amounts are taken as they are.
    """

    def __init__(self, rows: pl.DataFrame, rates: dict[str, float]) -> None:
        amount = rows["amount"] * _rate(rows["currency"], rates) if rates else rows["amount"]
        value: Floats = amount.to_numpy()
        self.priced = ~np.isnan(value)
        value = np.nan_to_num(value)
        self.bin = amounts.bin_of(value)
        self.sequence: Numbers = rows["sequence"].to_numpy()
        self.declined: Floats = (rows["status"] == "declined").to_numpy().astype(np.float64)
        self.total: Floats = np.where((rows["status"] == "approved").to_numpy(), value, 0.0)
        self.lag: Floats = (
            rows["arrival"].to_numpy() / 1e9 - rows["timestamp"].cast(pl.Int64).to_numpy() / 1e3
        )
        self.register, self.rank = users.places(users.hashes(rows["user_id"].to_list()))


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return sorted numbers as spans [first, last] without gaps."""
    spans: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return spans


def _rate(currencies: pl.Series, rates: dict[str, float]) -> pl.Series:
    return currencies.replace_strict(rates, default=float("nan"), return_dtype=pl.Float64)


def _arrays(size: int) -> dict[str, npt.NDArray[Any]]:
    return {
        "through": np.full(size, NOTHING, dtype=np.int64),
        "count": np.zeros(size, dtype=np.int64),
        "declined": np.zeros(size, dtype=np.int64),
        "total": np.zeros(size),
        "lag_total": np.zeros(size),
        "lag_max": np.full(size, -np.inf),
        "users": np.zeros((size, users.REGISTERS), dtype=np.uint8),
        "amounts": np.zeros((size, amounts.BINS), dtype=np.int32),
        "dirty": np.zeros(size, dtype=bool),
    }
