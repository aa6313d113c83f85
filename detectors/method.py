"""What every detection method is: one hypothesis about each row, with its evidence and its reason.

A method walks each micro-batch once, in feed order, scores each row before it learns from it, keeps a
fixed number of numbers per entity, and keeps rows that it suspects out of its own baseline.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.kernels.stretch import ENTITY_LEVEL, SEGMENT_LEVEL
from detectors.kernels.tail import SILENT
from detectors.rows import Rows
from detectors.state import State
from detectors.types import Flags, Floats, Hashes, Rows32, Times
from txwatch.model import AnomalyType
from txwatch.registry import ModelChange


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one method says of each row; every array has shape (n,)."""

    log_odds: Floats
    """Log odds that the row is bad; SILENT where the method has nothing to say."""
    observed: Floats
    expected: Floats
    """What observed was compared with, in the same unit."""
    size: Floats
    """Observations behind expected."""
    level: Rows32
    """Whose baseline it is: ENTITY_LEVEL, SEGMENT_LEVEL or POPULATION_LEVEL."""
    by_chance: Floats
    """Log odds of a stand-in that can find nothing but chance; SILENT where the method has none."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One row's part of an evidence, for the sentence of a reason."""

    observed: float
    expected: float
    size: int
    level: str
    currency: str
    """Of amounts: the base currency where a rate is known, else the row's own."""
    row: Mapping[str, Any]
    """The transaction, by column."""

    @property
    def times(self) -> str:
        """How many times as large as expected, as people write it."""
        ratio = self.observed / max(self.expected, 1e-9)
        return f"{ratio:.1f}" if ratio < 100 else f"{ratio:,.0f}"

    @property
    def is_own(self) -> bool:
        """Whether the entity's own past is what was compared with."""
        return self.level == "entity"

    def basis(self, what: str) -> str:
        """Return whose usual it is: "(from 58 attempts)", or everybody's, and how few are known."""
        if self.is_own:
            return f"(from {self.size} {what})"
        return f"for everybody (known: {self.size} {what})"

    def money(self, amount: float) -> str:
        """Return an amount as people write it."""
        return f"{amount:,.2f}"


class Method(Protocol):
    """One hypothesis; each implementation is a file in `detectors/methods/`."""

    name: ClassVar[str]
    type: ClassVar[AnomalyType]
    entity_kind: ClassVar[str]
    is_bounded: ClassVar[bool]
    """Whether the evidence is bounded by its own fitted tail; otherwise calibration bounds it."""

    def states(self) -> Mapping[str, State]:
        """Return everything that the method remembers, by name."""

    def score(self, rows: Rows, so_far: Sequence[Evidence]) -> Evidence:
        """Score the rows, then learn them; `so_far` is what the methods before this one said."""

    def sentence(self, found: Found) -> str:
        """Return the reason in one plain sentence with its numbers."""


@runtime_checkable
class FittedMethod(Method, Protocol):
    """A method with a model that is fitted again and again, from a sample that it keeps."""

    def cuts(self, times: Times) -> npt.NDArray[np.int64]:
        """Return the rows before which something may be due: `score` is given no rows around them."""

    def flagged(self, flags: Flags) -> None:
        """Keep those rows out of every fit to come, of the last ones that were scored."""

    def leave_out(self, keys: Hashes) -> None:
        """Keep these payments out of every fit to come: they were confirmed as frauds."""

    def changes(self) -> list[ModelChange]:
        """Return what happened to the models since this was asked last."""

    def install(self, payload: bytes, *, held: bool) -> None:
        """Let a kept model count; `held` says that none replaces it by itself.

        Raises SnapshotError where it is damaged or of another shape; then nothing has changed.
        """

    @property
    def model(self) -> str:
        """The version of the model that counts, empty before the first."""


def silent(count: int) -> Evidence:
    """Return the evidence of a method that has nothing to say about `count` rows."""
    return blank(np.full(count, SILENT))


def blank(log_odds: Floats) -> Evidence:
    """Return evidence around log odds, everything else still to be filled."""
    observed, expected = np.full((2, len(log_odds)), np.nan)
    size = np.zeros(len(log_odds))
    level = np.zeros(len(log_odds), dtype=np.int32)
    return Evidence(
        log_odds=log_odds,
        observed=observed,
        expected=expected,
        size=size,
        level=level,
        by_chance=np.full(len(log_odds), SILENT),
    )


def level_word(level: int) -> str:
    """Return the word for a baseline level."""
    if level == ENTITY_LEVEL:
        return "entity"
    return "segment" if level == SEGMENT_LEVEL else "population"
