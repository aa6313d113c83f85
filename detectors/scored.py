"""What the engine says of a micro-batch: columns, one entry a row."""

from collections.abc import Sequence

import msgspec
import numpy as np

from detectors.method import Evidence
from detectors.publish import Published
from detectors.rulebook import RuleHits
from detectors.types import Codes, Flags, Floats


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One micro-batch, scored; arrays have shape (n,) unless they say otherwise, in feed order.

    Duplicates and status changes are neither scored nor learnt: their score and severity are 0.
    """

    score: Floats
    """0 to 100; higher is stranger."""
    severity: Codes
    """0 is no anomaly, else model.Severity."""
    is_anomaly: Flags
    is_late: Flags
    is_duplicate: Flags
    is_status_change: Flags
    names: Sequence[str]
    """The detectors, in the order of the evidence."""
    evidence: Floats
    """Shape (n, detectors); calibrated log odds, SILENT (-20) where a detector has nothing to say."""
    threshold: Floats
    """The score from which on a row was an anomaly."""
    fresh: np.ndarray[tuple[int], np.dtype[np.int64]]
    """Shape (m,); which rows were scored: those that are no duplicates or status changes."""
    found: Sequence[Evidence]
    """What each detector measured of the m scored rows."""
    published: Published
    """The m scored rows, as rules and sentences read them."""
    hits: RuleHits | None
    """Which rules hold for which of the m scored rows."""
    has_rate: Flags
    """Shape (m,); whether amounts are in the base currency."""

    def __len__(self) -> int:
        return len(self.score)
