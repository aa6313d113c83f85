"""Which windows a transaction belongs to, as numbers: one packed integer a (window, dimension, value).

From the highest bits down: partition (16), length of the window (1), number of the window since 1970 (31),
dimension (3), value (12).
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.metrics.chosen import NOT_CHOSEN, UNKNOWN, ChoiceSettings, Chosen, Merchants, Words
from txwatch.model import Partition, Status
from txwatch.ports import TrafficPoint

LENGTHS = (10, 60)
"""Of windows, in seconds."""

DIMENSIONS = ("all", "channel", "country", "status", "merchant")
EVERYTHING = ""
"""The value of the dimension `all`."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VALUE, _DIMENSION, _NUMBER = 12, 3, 31
WINDOW_BITS = _VALUE + _DIMENSION
"""Below the window in a key: dimension and value."""

_LENGTH = WINDOW_BITS + _NUMBER
_PARTITION = _LENGTH + 1

Numbers = npt.NDArray[np.int64]


class Key(NamedTuple):
    """What a packed key says."""

    partition: Partition
    seconds: int
    start: datetime
    dimension: str
    value: str


class Pairs(NamedTuple):
    """Each transaction with each of its windows: `row` in the batch, and `group`, an index of `keys`."""

    row: Numbers
    group: Numbers
    keys: Numbers


class Keys:
    """Packs and reads keys; knows the partitions and values that were ever seen."""

    def __init__(self, settings: ChoiceSettings, chosen: Chosen) -> None:
        self.merchants = Merchants(settings, chosen.merchants)
        self._words = {
            "channel": Words(settings.channels, chosen.channels),
            "country": Words(settings.countries, chosen.countries),
            "status": Words(len(Status), tuple(status.value for status in Status)),
        }
        self._partitions: dict[Partition, int] = {}
        self._names: list[Partition] = []

    def chosen(self) -> Chosen:
        """Return what has windows of its own, to be kept before such windows are written."""
        return Chosen(
            channels=tuple(self._words["channel"].values[1:]),
            countries=tuple(self._words["country"].values[1:]),
            merchants=dict(self.merchants.since),
        )

    def pairs(self, rows: pl.DataFrame) -> Pairs:
        """Return all windows of a batch of the feed."""
        times = rows["timestamp"].cast(pl.Int64).to_numpy()
        partitions = self._numbers(rows) << _PARTITION
        windows = [
            partitions | n << _LENGTH | times // (1000 * length) << WINDOW_BITS
            for n, length in enumerate(LENGTHS)
        ]
        values = [np.zeros(rows.height, dtype=np.int64)]
        values += [words.codes(_known(rows[name])) for name, words in self._words.items()]
        values.append(self.merchants.codes(rows["merchant_id"].to_list(), times))
        return _grouped(windows, values)

    def read_window(self, window: int) -> tuple[Partition, int, int]:
        """Return partition, length in seconds and number of a window."""
        number = window & ((1 << _NUMBER) - 1)
        length = LENGTHS[window >> _NUMBER & 1]
        return self._names[window >> (_NUMBER + 1)], length, number

    def read(self, key: int) -> Key:
        """Return what a key says."""
        partition, seconds, number = self.read_window(key >> WINDOW_BITS)
        dimension = DIMENSIONS[key >> _VALUE & ((1 << _DIMENSION) - 1)]
        value = self._value(dimension, key & ((1 << _VALUE) - 1))
        return Key(partition, seconds, EPOCH + timedelta(seconds=number * seconds), dimension, value)

    def key(self, point: TrafficPoint) -> int | None:
        """Return the key of a stored window; None for a merchant that is not counted here."""
        number = self._number(point.dimension, point.value)
        if number == NOT_CHOSEN:
            return None
        start = (point.start - EPOCH) // timedelta(seconds=point.seconds)
        length = LENGTHS.index(point.seconds)
        partition = self._partition(Partition(point.source, point.partition))
        key = partition << _PARTITION | length << _LENGTH | start << WINDOW_BITS
        return key | DIMENSIONS.index(point.dimension) << _VALUE | number

    def _numbers(self, rows: pl.DataFrame) -> Numbers:
        """Return the partition's number of each row; runs of one partition are the rule."""
        run = pl.struct("source", "partition").rle_id()
        runs = rows.select("source", "partition", run.alias("run"))
        first = runs.unique("run", keep="first", maintain_order=True)
        numbers = [self._partition(Partition(s, p)) for s, p, _ in first.iter_rows()]
        of_rows: Numbers = np.take(np.array(numbers, dtype=np.int64), runs["run"].to_numpy())
        return of_rows

    def _partition(self, partition: Partition) -> int:
        if partition not in self._partitions:
            self._partitions[partition] = len(self._names)
            self._names.append(partition)
        return self._partitions[partition]

    def _value(self, dimension: str, number: int) -> str:
        if dimension == "all":
            return EVERYTHING
        return (self.merchants if dimension == "merchant" else self._words[dimension]).values[number]

    def _number(self, dimension: str, value: str) -> int:
        if dimension == "all":
            return 0
        if dimension == "merchant":
            return self.merchants.number(value)
        return self._words[dimension].add(value)


def _known(column: pl.Series) -> list[str]:
    return (column.fill_null(UNKNOWN) if column.null_count() else column).to_list()


def _grouped(windows: list[Numbers], values: list[Numbers]) -> Pairs:
    """Number the different keys of every window of a row with every value of it, without sorting them."""
    count = len(values[0])
    different, place = np.unique(np.concatenate(windows), return_inverse=True)
    width = [int(codes.max(initial=0)) + 1 for codes in values]
    offsets = np.cumsum([0, *width])
    value = np.concatenate([codes + offset for codes, offset in zip(values, offsets, strict=False)])
    valid = np.concatenate([codes != NOT_CHOSEN for codes in values])
    row = np.tile(np.arange(count), len(values))[valid]
    value = value[valid]
    dense = np.concatenate([place[n * count :][row] * offsets[-1] + value for n in range(len(windows))])
    used = np.zeros(len(different) * int(offsets[-1]), dtype=bool)
    used[dense] = True
    found = np.flatnonzero(used)
    rank = np.cumsum(used)
    code = found % offsets[-1]
    dimension = np.searchsorted(offsets, code, side="right") - 1
    keys = different[found // offsets[-1]] | dimension << _VALUE | code - offsets[dimension]
    return Pairs(np.tile(row, len(windows)), rank[dense] - 1, keys)
