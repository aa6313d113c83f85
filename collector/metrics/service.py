"""The derived metrics at work: read the feed, count, write windows, commit."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

import msgspec
import numpy as np
import polars as pl

from collector.metrics.cells import Cells, Figures, runs
from collector.metrics.chosen import ChoiceSettings, Chosen
from collector.metrics.keys import EPOCH, WINDOW_BITS, Keys
from collector.patience import Patience
from txwatch.canary import Canaries, without
from txwatch.errors import StoreError
from txwatch.model import Anomaly, Cursor, Partition
from txwatch.ports import Clock, Health, Progress, TrafficPoint, TrafficQuery

CONSUMER = "metrics"
VERSION = "traffic-1"


class Kept(Protocol):
    """What the ledger kept of an earlier run."""

    @property
    def payload(self) -> bytes:
        """The state."""

    @property
    def version(self) -> str:
        """What wrote it."""


class MetricsLedger(Protocol):
    """The part of the ledger that derived metrics need."""

    def cursors(self, consumer: str) -> dict[Partition, Cursor]:
        """Return how far the consumer's results are committed."""

    def commit_step(
        self, consumer: str, cursors: Mapping[Partition, Cursor], anomalies: Sequence[Anomaly]
    ) -> None:
        """Move the cursors."""

    def save_snapshot(
        self, consumer: str, cursors: Mapping[Partition, Cursor], payload: bytes, version: str
    ) -> None:
        """Keep a state."""

    def load_snapshot(self, consumer: str) -> Kept | None:
        """Return the state that was kept last."""


class FeedAndTraffic(Protocol):
    """The part of a store that derived metrics need."""

    def feed(self, after: Mapping[Partition, Cursor], limit: int) -> pl.DataFrame:
        """See `ports.TransactionStore.feed`."""

    def put_traffic(self, points: Sequence[TrafficPoint]) -> None:
        """See `ports.TrafficStore.put_traffic`."""

    def traffic(self, query: TrafficQuery) -> list[TrafficPoint]:
        """See `ports.TrafficStore.traffic`."""


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often windows are written and how many are held in memory (4.4 KB each)."""

    batch: int = 5000
    flush_seconds: float = 2.0
    cells: int = 16_384
    rates: dict[str, float] = {}
    """Values of currencies in the base currency, itself included; empty takes amounts as they are."""
    choice: ChoiceSettings = ChoiceSettings()
    canaries: Canaries | None = None
    """What is not counted."""


class MetricsService:
    """Counts every transaction of the feed once, whatever dies on the way, late ones in their own window.

    1. Read the feed beyond the cursors.  A window that was not counted by this process is read from the
       store first, if it is there; what it holds already is not counted again.
    2. Every `flush_seconds`: keep the choice of merchants, where it has changed.
    3. Write the windows that changed, as absolute values.
    4. Commit the cursors.

    A crash anywhere makes rows be read again that windows already hold; each window says how far it
    reaches.  Two instances write the same values, and the store keeps the one that is ahead.
    """

    name = CONSUMER

    def __init__(
        self,
        store: FeedAndTraffic,
        ledger: MetricsLedger,
        clock: Clock,
        settings: MetricsSettings | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Go on behind the committed cursors; `monotonic` gives seconds, for what is due."""
        self._store, self._ledger, self._clock = store, ledger, clock
        self._settings = settings or MetricsSettings()
        self._monotonic = monotonic
        self._cursors = ledger.cursors(CONSUMER)
        self._kept = _chosen(ledger.load_snapshot(CONSUMER))
        self._keys = Keys(self._settings.choice, self._kept)
        self._cells = Cells()
        self._touched: dict[int, int] = {}
        self._round = 0
        self._flushed_at = monotonic()
        self._patience = Patience(monotonic)
        self._figures = dict.fromkeys(("transactions_total", "windows_written_total"), 0.0)
        self._lags: list[tuple[np.ndarray, np.ndarray]] = []

    def step(self) -> Progress:
        """Count the next batch of the feed; write what is due."""
        if not self._patience.may_try():
            return Progress(handled=0)
        try:
            handled = self._count()
            if self._is_due():
                self._flush()
        except StoreError as error:
            self._patience.put_off(error)
            return Progress(handled=0)
        self._patience.end()
        return Progress(handled=handled, finished=True)

    def health(self) -> Health:
        """Return what was counted, and how long transactions took to come."""
        counted = self._figures["transactions_total"]
        figures = self._figures | {
            "cells": float(len(self._cells)),
            "merchants": float(len(self._keys.merchants.since)),
        }
        return Health(
            name=self.name,
            state="degraded" if self._patience.trouble else "ok",
            sentence=self._patience.trouble or f"{counted:,.0f} transactions counted",
            figures=figures,
        )

    def close(self) -> None:
        """Write what is counted; safe to call twice."""
        if self._cells.dirty:
            self._flush()

    def _count(self) -> int:
        if self._cells.dirty > self._settings.cells:
            return 0
        rows = self._store.feed(self._cursors, self._settings.batch)
        if rows.is_empty():
            return 0
        last = _last(rows)
        taken = rows.height
        rows = without(rows, self._settings.canaries)
        if rows.is_empty():
            self._cursors.update(last)
            return taken
        pairs = self._keys.pairs(rows)
        self._load(np.unique(pairs.keys >> WINDOW_BITS).tolist())
        figures = Figures(rows, self._settings.rates)
        self._cells.add(pairs, figures)
        self._cursors.update(last)
        self._keys.merchants.review()
        self._figures["transactions_total"] += rows.height
        self._lags.append((figures.lag, self._clock.now().timestamp() - _event_seconds(rows)))
        return taken

    def _load(self, windows: Sequence[int]) -> None:
        """Read windows that are counted for the first time since the start, or again after a long time."""
        fresh = {window for window in windows if window not in self._touched}
        wanted: dict[tuple[str, int], tuple[set[int], set[int]]] = {}
        for partition, seconds, number in map(self._keys.read_window, fresh):
            partitions, numbers = wanted.setdefault((partition.source, seconds), (set(), set()))
            partitions.add(partition.partition)
            numbers.add(number)
        for (source, seconds), (partitions, numbers) in wanted.items():
            one = partitions.pop() if len(partitions) == 1 else None
            for span in runs(sorted(numbers)):
                self._put(fresh, self._stored(source, one, seconds, span))
        self._touched.update(dict.fromkeys(windows, self._round))

    def _put(self, fresh: set[int], points: Iterable[TrafficPoint]) -> None:
        """Take over stored windows, except those that are counted here already."""
        for point in points:
            key = self._keys.key(point)
            if key is not None and key >> WINDOW_BITS in fresh:
                self._cells.put(key, point)

    def _stored(
        self, source: str, partition: int | None, seconds: int, span: tuple[int, int]
    ) -> list[TrafficPoint]:
        first, last = span
        query = TrafficQuery(
            source=source,
            partition=partition,
            seconds=seconds,
            since=EPOCH + timedelta(seconds=first * seconds),
            until=EPOCH + timedelta(seconds=(last + 1) * seconds),
        )
        return self._store.traffic(query)

    def _is_due(self) -> bool:
        dirty = self._cells.dirty
        waited = self._monotonic() - self._flushed_at
        return dirty > self._settings.cells or (dirty > 0 and waited >= self._settings.flush_seconds)

    def _flush(self) -> None:
        chosen = self._keys.chosen()
        if chosen != self._kept:
            committed = self._ledger.cursors(CONSUMER)
            self._ledger.save_snapshot(CONSUMER, committed, msgspec.json.encode(chosen), VERSION)
            self._kept = chosen
        points = self._cells.changed(self._keys.read)
        self._store.put_traffic(points)
        self._ledger.commit_step(CONSUMER, self._cursors, [])
        self._figures["windows_written_total"] += len(points)
        self._measure()
        self._forget()
        self._flushed_at = self._monotonic()

    def _forget(self) -> None:
        """Keep the windows of late, as many as there is room for; the store knows the others."""
        self._round += 1
        if len(self._cells) <= self._settings.cells:
            self._cells.clean(lambda _: True)
            return
        recent = {w for w, touched in self._touched.items() if touched >= self._round - 2}
        keep = recent if len(self._cells) <= 2 * self._settings.cells else set()
        self._cells.clean(lambda key: key >> WINDOW_BITS in keep)
        self._touched = {w: t for w, t in self._touched.items() if w in keep}

    def _measure(self) -> None:
        if self._lags:
            ingest, whole = (np.concatenate(part) for part in zip(*self._lags, strict=True))
            self._figures["ingest_lag_p95_seconds"] = float(np.percentile(ingest, 95))
            self._figures["end_to_end_p95_seconds"] = float(np.percentile(whole, 95))
        self._lags = []


def _chosen(kept: Kept | None) -> Chosen:
    if kept is None or kept.version != VERSION:
        return Chosen()
    return msgspec.json.decode(kept.payload, type=Chosen)


def _last(rows: pl.DataFrame) -> dict[Partition, Cursor]:
    last = rows.group_by("source", "partition").agg(pl.col("arrival").last(), pl.col("sequence").last())
    return {Partition(s, p): Cursor(a, n) for s, p, a, n in last.iter_rows()}


def _event_seconds(rows: pl.DataFrame) -> np.ndarray:
    return rows["timestamp"].cast(pl.Int64).to_numpy() / 1e3
