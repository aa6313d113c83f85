"""What the engine asks of the rules, and what it promises them.

The engine hands each micro-batch to the rule book as one frame with the columns that it needs, less
the duplicates and status changes, in feed order.  The rule book keeps its own window state; the engine
keeps that state in its snapshots.  Cutting the stream into other batches changes no hit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from txwatch.model import Reason

EntityRows = Mapping[str, npt.NDArray[np.int32]]
"""By id column ("user_id", "merchant_id"): the dense row number of each transaction's entity."""


class RuleHits(Protocol):
    """Which rules hold for which rows of one frame."""

    @property
    def matrix(self) -> npt.NDArray[np.bool_]:
        """Shape (rows, rules): whether the rule holds."""

    @property
    def severities(self) -> npt.NDArray[np.int8]:
        """Shape (rules,): the floor (model.Severity as a number) that a hit puts under the anomaly."""

    @property
    def ids(self) -> Sequence[str]:
        """Shape (rules,): the rules' ids, in the order of the matrix."""


class RuleBook(Protocol):
    """The rules in force, with the state of the windows that they declare."""

    @property
    def version(self) -> str:
        """A hash of everything that makes a hit: other rules, other version."""

    @property
    def columns(self) -> frozenset[str]:
        """Names of the published columns that the frame must have."""

    def step(self, frame: pl.DataFrame, rows: EntityRows) -> RuleHits:
        """Move the windows on by these rows and return what holds for each."""

    def reasons(self, hits: Any, i: int, frame: pl.DataFrame) -> list[Reason]:
        """Return one reason for each rule that holds for row `i`; the engine sets the contributions.

        `hits` is what this book's own `step` returned for the frame.
        """

    def dump(self) -> bytes:
        """Return the state of the windows."""

    def restore(self, payload: bytes) -> None:
        """Take over the state of a dump by the same version; raises SnapshotError when it is not."""
