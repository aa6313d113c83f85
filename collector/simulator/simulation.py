"""The simulation: days of transactions, their labels, and the episodes behind them."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import msgspec
import numpy as np
import polars as pl

from collector.simulator.frauds import KINDS, Episode, Kind
from collector.simulator.honest import honest_day
from collector.simulator.rows import NO_EPISODE, as_frame
from collector.simulator.settings import SimulationSettings
from collector.simulator.world import World
from txwatch.columns import TIME, TRANSACTION

DAY = 86_400.0
LONGEST_DAYS = 8
"""No episode reaches further than so many days."""
BUSY_MERCHANTS = 15
PER_DAY = 1000
"""Episode numbers of a day start at day times this."""

LABELS: dict[str, pl.DataType] = {
    "transaction_id": pl.String(),
    "kind": pl.String(),
    "episode": pl.Int64(),
    "entity_kind": pl.String(),
    "entity_id": pl.String(),
}


class SimulatedDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day: transactions (columns TRANSACTION) in order of time, labels of the fraudulent ones alone."""

    transactions: pl.DataFrame
    labels: pl.DataFrame


class Simulation:
    """A world and its days; everything follows from the settings."""

    def __init__(self, settings: SimulationSettings) -> None:
        self.settings = settings
        self._world = World(settings)
        self._busy = np.argsort(-self._world.popularity)[:BUSY_MERCHANTS]

    def days(self) -> Iterator[SimulatedDay]:
        """Yield the days one after the other, without end if the settings have none."""
        last = self.settings.days
        for day in count() if last is None else range(last):
            yield self.day(day)

    def day(self, day: int) -> SimulatedDay:
        """Return one day, whatever days were asked for before."""
        rows = honest_day(self._world, day)
        for first in range(max(0, day - LONGEST_DAYS), day + 1):
            for kind, episode in self._starting(first):
                if self._touches(kind, episode, day):
                    rng = np.random.default_rng([self.settings.seed, 5, episode.number, day])
                    rows = kind.apply(self._world, episode, rows, day * DAY, rng)
        rows = rows.keep(np.argsort(rows.seconds, kind="stable"))
        table = as_frame(self._world, day, rows)
        return SimulatedDay(transactions=table.select(list(TRANSACTION)), labels=self._labels(table))

    def episodes(self, days: int) -> pl.DataFrame:
        """Return the episodes that start in the first `days` days, those without transactions included."""
        found = [episode for day in range(days) for _, episode in self._starting(day)]
        midnight = self.settings.start
        return pl.DataFrame(
            {
                "episode": [e.number for e in found],
                "kind": [e.kind for e in found],
                "entity_kind": [e.entity_kind for e in found],
                "entity_id": [_entity_id(e) for e in found],
                "start": [midnight + timedelta(seconds=e.start) for e in found],
                "end": [midnight + timedelta(seconds=e.end) for e in found],
            },
            schema_overrides={"start": TIME, "end": TIME},
        )

    def _starting(self, day: int) -> list[tuple[Kind, Episode]]:
        if day < self.settings.first_fraud_day:
            return []
        rng = np.random.default_rng([self.settings.seed, 4, day])
        shares = np.array([kind.share for kind in KINDS])
        kinds = rng.choice(len(KINDS), rng.poisson(self.settings.frauds_per_day), p=shares / shares.sum())
        return [
            (KINDS[kind], self._episode(KINDS[kind], day, day * PER_DAY + n, rng))
            for n, kind in enumerate(kinds)
        ]

    def _episode(self, kind: Kind, day: int, number: int, rng: np.random.Generator) -> Episode:
        start = day * DAY + rng.uniform(8, 18) * 3600
        entity = {
            "user": rng.integers(0, self.settings.users),
            "merchant": rng.integers(0, self.settings.merchants),
            "busy merchant": rng.choice(self._busy),
        }[kind.entity_kind]
        return Episode(
            number=number,
            kind=kind.name,
            entity_kind=kind.entity_kind.removeprefix("busy "),
            entity=int(entity),
            start=start,
            end=start + rng.uniform(kind.shortest, kind.longest),
        )

    def _touches(self, kind: Kind, episode: Episode, day: int) -> bool:
        if kind.longest <= DAY:
            return int(episode.start // DAY) == day
        return episode.start < (day + 1) * DAY and episode.end > day * DAY

    def _labels(self, table: pl.DataFrame) -> pl.DataFrame:
        marked = table.filter(pl.col("episode") != NO_EPISODE).select("transaction_id", "episode")
        if marked.is_empty():
            return pl.DataFrame(schema=LABELS)
        days = range(int(marked["episode"].min()) // PER_DAY, int(marked["episode"].max()) // PER_DAY + 1)  # type: ignore[arg-type]  # episode numbers are integers
        known = {e.number: e for day in days for _, e in self._starting(day)}
        found = [known[number] for number in marked["episode"].to_list()]
        return marked.with_columns(
            kind=pl.Series([e.kind for e in found]),
            entity_kind=pl.Series([e.entity_kind for e in found]),
            entity_id=pl.Series([_entity_id(e) for e in found]),
        ).select(list(LABELS))


def _entity_id(e: Episode) -> str:
    return f"u{e.entity:06}" if e.entity_kind == "user" else f"m{e.entity:04}"
