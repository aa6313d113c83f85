"""What every source of transactions looks like to the collector: good and bad records are both results."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec
import polars as pl

from txwatch.model import Partition, Quarantined
from txwatch.ports import Figure, QuarantineStore


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What one read gave.  Every message read is either in `rows` or in `rejected`."""

    rows: pl.DataFrame
    """Columns POSITION + TRANSACTION, each partition in growing sequence."""
    rejected: tuple[Quarantined, ...] = ()
    positions: Mapping[Partition, int] = {}
    """Where each partition goes on once this was stored: its next sequence."""
    finished: bool = False
    """Nothing will ever come after this."""
    waiting: int | None = None
    """How many messages the source knows to be waiting after these."""
    expecting: bool = False
    """Nothing came yet, but a run to the end has to wait for it."""


class Source(Protocol):
    """A place that messages come from.  Nothing is acknowledged to it before `commit`."""

    def read(self, limit: int) -> Collected:
        """Return at most about `limit` messages that are there now; never waits for more."""

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Take note that everything before these positions is stored or in quarantine."""

    def close(self) -> None:
        """Give back resources; safe to call twice."""


@runtime_checkable
class SharedSource(Source, Protocol):
    """A source that several collectors share, and that keeps the positions itself."""

    dead_letters: QuarantineStore | None
    """Where what is rejected goes; None for the store's own quarantine."""

    def hold(self, pending: Collected) -> Collected:
        """Stay one of them while nothing can be written; returns what of `pending` is still ours."""

    def figures(self) -> tuple[Figure, ...]:
        """Return what it says of itself, for the collector's metrics."""

    def trouble(self) -> str:
        """Return what is wrong in a sentence, nothing if all is well."""
