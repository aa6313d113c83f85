"""The simulated world as a source, at full speed, or held back until it has happened."""

import hashlib
from collections.abc import Mapping

import msgspec
import polars as pl

from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import Simulation
from collector.source import Collected
from txwatch.columns import POSITION, TRANSACTION
from txwatch.model import Partition
from txwatch.ports import Clock


class SimulatorSource:
    """Gives the days of a simulation, a slice at a time.

    Guarantee: the sequence is the transaction's place in the whole simulation, which the settings determine,
    so that after a crash the same rows come again with the same identities.  Labels are kept apart and never
    reach the rows.  With a `live` clock, what lies beyond its time is held back until then; for an even
    stream at a multiple of real time, wrap it in `collector.pace.PacedSource`.
    """

    def __init__(
        self, simulation: Simulation, positions: Mapping[Partition, int], *, live: Clock | None = None
    ) -> None:
        """`positions` says where to go on; days before are made again and passed over."""
        self._partition = Partition(source_name(simulation.settings), 0)
        self._days = simulation.days()
        self._live = live
        self._sequence = 0
        self._start = positions.get(self._partition, 0)
        self._rows = pl.DataFrame(schema=POSITION | TRANSACTION)
        self.labels: list[pl.DataFrame] = []
        """Labels of the days begun so far: for telling how much was found, never for finding it."""

    def read(self, limit: int) -> Collected:
        """Return the next rows of the simulation, at most `limit`, never beyond the end of a day."""
        while self._rows.is_empty():
            day = next(self._days, None)
            if day is None:
                return Collected(rows=self._rows, finished=True)
            self._take(day.transactions)
            self.labels.append(day.labels)
        count = self._due(self._rows[:limit])
        part, self._rows = self._rows[:count], self._rows[count:]
        if not count:
            return Collected(rows=part)
        return Collected(rows=part, positions={self._partition: int(part["sequence"][-1]) + 1})

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Nothing to tell a simulation."""

    def close(self) -> None:
        """Nothing to give back."""

    def _due(self, rows: pl.DataFrame) -> int:
        return rows.height if self._live is None else int((rows["timestamp"] <= self._live.now()).sum())

    def _take(self, transactions: pl.DataFrame) -> None:
        first, self._sequence = self._sequence, self._sequence + transactions.height
        rows = transactions.select(
            pl.lit(self._partition.source).alias("source"),
            pl.lit(0, dtype=pl.Int32).alias("partition"),
            pl.int_range(first, self._sequence, dtype=pl.Int64).alias("sequence"),
            *TRANSACTION,
        )
        self._rows = rows[max(0, self._start - first) :]


def source_name(settings: SimulationSettings) -> str:
    """Return the name of the stream: another world has another name, so that two never share an identity.

    `simulator-<seed>` for a world of default size and start; otherwise a fingerprint of the settings follows.
    How many days are made does not matter: a day does not depend on how many follow.
    """
    plain = SimulationSettings(seed=settings.seed, days=settings.days)
    if settings == plain:
        return f"simulator-{settings.seed}"
    told = msgspec.json.encode(msgspec.structs.replace(settings, days=None))
    return f"simulator-{settings.seed}@{hashlib.blake2b(told, digest_size=6).hexdigest()}"
