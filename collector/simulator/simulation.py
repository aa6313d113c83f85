"""The simulation: days of transactions, their labels, and the episodes behind them."""

from collections.abc import Iterator
from itertools import count

import msgspec
import numpy as np
import polars as pl

from collector.simulator.episodes import starting, table, touching
from collector.simulator.frame import as_frame
from collector.simulator.frauds import Episode, Scene
from collector.simulator.honest import honest_day
from collector.simulator.names import Names
from collector.simulator.settings import SimulationSettings
from collector.simulator.world import World
from txwatch.columns import TIME, TRANSACTION

LABELS: dict[str, pl.DataType] = {
    "transaction_id": pl.String(),
    "kind": pl.String(),
    "episode": pl.Int64(),
    "entity_kind": pl.String(),
    "entity_id": pl.String(),
    "start": TIME,
}
"""Which transactions belong to which fraud; `start` is when its episode began."""


class SimulatedDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day: transactions (columns TRANSACTION) in order of time, labels of the fraudulent ones alone."""

    transactions: pl.DataFrame
    labels: pl.DataFrame


class Simulation:
    """A world and its days; everything follows from the settings."""

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings
        self._world = World(settings)
        self._names = Names(settings.users, settings.merchants)

    def days(self) -> Iterator[SimulatedDay]:
        """Yield the days one after the other, without end if the settings have none."""
        last = self.settings.days
        for day in count() if last is None else range(last):
            yield self.day(day)

    def day(self, day: int) -> SimulatedDay:
        """Return one day, whatever days were asked for before."""
        rows = honest_day(self._world, day)
        today = touching(self._world, day)
        for kind, episode in today:
            rng = np.random.default_rng([self.settings.seed, 5, episode.number, day])
            rows = kind.apply(Scene(self._world, day, rng), episode, rows)
        rows = rows.keep(np.argsort(rows.seconds, kind="stable"))
        frame = as_frame(self._world, self._names, day, rows)
        labels = self._labels(frame, [episode for _, episode in today])
        return SimulatedDay(transactions=frame.select(list(TRANSACTION)), labels=labels)

    def episodes(self, days: int | None = None) -> pl.DataFrame:
        """Return the episodes that begin in the first `days` days, those without transactions included.

        Raises:
            ValueError: neither `days` nor the settings say where to end.
        """
        last = self.settings.days if days is None else days
        if last is None:
            raise ValueError("a simulation without end has episodes without end: say how many days")
        return table(self._world, (e for day in range(last) for e in starting(self._world, day)))

    def _labels(self, frame: pl.DataFrame, episodes: list[Episode]) -> pl.DataFrame:
        marked = frame.select("transaction_id", "episode")
        known = table(self._world, episodes)
        return marked.join(known, on="episode", maintain_order="left").select(list(LABELS))
