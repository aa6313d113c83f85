"""The simulated world as a source, at full speed or paced by event time."""

from collections.abc import Mapping

import polars as pl

from collector.simulator.simulation import Simulation
from collector.source import Collected
from txwatch.columns import POSITION, TRANSACTION
from txwatch.model import Partition


class SimulatorSource:
    """Gives the days of a simulation, a slice at a time.

    Guarantee: the sequence is the transaction's place in the whole simulation, which a seed determines, so
    that after a crash the same rows come again with the same identities.  Labels are kept apart and never
    reach the rows.
    """

    def __init__(self, simulation: Simulation, positions: Mapping[Partition, int]) -> None:
        self._simulation = simulation
        self._partition = Partition(f"simulator-{simulation.settings.seed}", 0)
        self._days = simulation.days()
        self._sequence = 0
        self._start = positions.get(self._partition, 0)
        self._rows = pl.DataFrame(schema=TRANSACTION)
        self.labels: list[pl.DataFrame] = []
        """Labels of the days begun so far: for telling how much was found, never for finding it."""

    def read(self, limit: int) -> Collected:
        """Return the next rows of the simulation, at most `limit`, never beyond the end of a day."""
        while self._rows.is_empty():
            day = next(self._days, None)
            if day is None:
                return Collected(rows=pl.DataFrame(schema=POSITION | TRANSACTION), finished=True)
            self._take(day.transactions)
            self.labels.append(day.labels)
        part, self._rows = self._rows[:limit], self._rows[limit:]
        return Collected(rows=part, positions={self._partition: int(part["sequence"][-1]) + 1})

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Nothing to tell a simulation."""

    def close(self) -> None:
        """Nothing to give back."""

    def _take(self, transactions: pl.DataFrame) -> None:
        first, self._sequence = self._sequence, self._sequence + transactions.height
        rows = transactions.select(
            pl.lit(self._partition.source).alias("source"),
            pl.lit(0, dtype=pl.Int32).alias("partition"),
            pl.int_range(first, self._sequence, dtype=pl.Int64).alias("sequence"),
            *TRANSACTION,
        )
        self._rows = rows[max(0, self._start - first) :]
