"""What the engine asks of the rules, and what it promises them.

The engine hands each micro-batch to the rule book with the columns that it needs, less the duplicates
and status changes, in feed order.  The rule book keeps its own window state; the engine
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

BuiltIns = Mapping[str, npt.NDArray[np.float64]]
"""By published column: the value of each transaction, unknown as NaN, flags as 0 and 1."""


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

    @property
    def shadow(self) -> "RuleHits | None":
        """The same of the rules that are only counted."""

    @property
    def former(self) -> "RuleHits | None":
        """While a change of rules is watched, the same of the rules before it."""

    def followed_by(self, then: Any) -> "RuleHits":
        """Return these rows and those after them, of the same book, as one."""


class RuleBook(Protocol):
    """The rules in force, with the state of the windows that they declare."""

    @property
    def version(self) -> str:
        """A hash of everything that makes a hit: other rules, other version."""

    @property
    def columns(self) -> frozenset[str]:
        """Names of the published columns that it reads."""

    def step(self, frame: pl.DataFrame, rows: EntityRows, built_ins: BuiltIns) -> RuleHits:
        """Move the windows on by these rows and return what holds for each.

        The `columns` are in the frame or among the built-ins.
        """

    def reasons(self, hits: Any, i: int, values: Mapping[str, Any]) -> list[Reason]:
        """Return one reason for each rule that holds for row `i`; the engine sets the contributions.

        `hits` is what this book's own `step` returned, `values` has the row's `columns` by name.
        """

    def dump(self) -> bytes:
        """Return the state of the windows."""

    def restore(self, payload: bytes) -> None:
        """Take over the state of a dump, as far as it is about the same features; raises SnapshotError."""

    def take_over(self, other: Any) -> list[str]:
        """Go on where another book of this kind stands; return the names of what begins anew."""
