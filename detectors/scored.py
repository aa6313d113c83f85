"""What the engine says of a micro-batch: columns, one entry a row."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TypeVar, cast

import msgspec
import numpy as np
import polars as pl

from detectors.kernels.tail import SILENT
from detectors.method import Evidence
from detectors.publish import Published
from detectors.remembered import DUPLICATE, FRESH, STATUS_CHANGE
from detectors.rulebook import RuleHits
from detectors.types import Codes, Flags, Floats

Values = TypeVar("Values", Floats, Flags, Codes)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows that were all scored; arrays have shape (m,) unless they say otherwise, in feed order."""

    score: Floats
    """0 to 100; higher is stranger."""
    severity: Codes
    """0 is no anomaly, else model.Severity."""
    severity_before: Codes | None = None
    """While a change of rules is watched: the severity under the rules before it."""
    is_late: Flags
    evidence: Floats
    """Shape (m, detectors); calibrated log odds, SILENT (-20) where a detector has nothing to say."""
    threshold: Floats
    """The score from which on a row was an anomaly."""
    has_rate: Flags
    """Whether amounts are in the base currency."""
    found: Sequence[Evidence]
    """What each detector measured."""
    published: Published
    """The rows as rules and sentences read them."""
    hits: RuleHits | None
    """Which rules hold for which rows."""
    models: Sequence[tuple[int, Mapping[str, str]]]
    """How many rows each set of fitted models judged, in order: version by detector."""

    def models_of(self, m: int) -> Mapping[str, str]:
        """Return the fitted models that judged a row, their versions by detector."""
        for count, models in self.models:
            if m < count:
                return models
            m -= count
        return {}


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
    judged: Judged
    """The m rows that were scored."""

    def __len__(self) -> int:
        return len(self.score)


_ARRAYS = ("score", "severity", "is_late", "evidence", "threshold", "has_rate")


def joined(parts: Sequence[Judged]) -> Judged:
    """Return stretches of rows that follow each other as one."""
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
    hits = [part.hits for part in parts if part.hits is not None]
    before = [part.severity_before for part in parts if part.severity_before is not None]
    return Judged(
        **arrays,
        severity_before=np.concatenate(before) if len(before) == len(parts) else None,
        found=[
            _one_after_another(evidence) for evidence in zip(*(part.found for part in parts), strict=True)
        ],
        published=Published(
            pl.concat([part.published.frame for part in parts]),
            {
                name: np.concatenate([part.published.built_ins[name] for part in parts])
                for name in parts[0].published.built_ins
            },
        ),
        models=[stretch for part in parts for stretch in part.models],
        hits=reduce(lambda first, then: first.followed_by(then), hits) if hits else None,
    )


def spread(judged: Judged, seen: Codes, names: Sequence[str]) -> Scored:
    """Return a whole batch, of which those rows were judged that are FRESH; `seen` has shape (n,)."""
    fresh, count = np.flatnonzero(seen == FRESH), len(seen)
    return Scored(
        score=_spread(judged.score, fresh, count, 0.0),
        severity=_spread(judged.severity, fresh, count, 0),
        is_anomaly=_spread(judged.severity > 0, fresh, count, False),
        is_late=_spread(judged.is_late, fresh, count, False),
        is_duplicate=seen == DUPLICATE,
        is_status_change=seen == STATUS_CHANGE,
        names=names,
        evidence=_spread(judged.evidence, fresh, count, SILENT),
        threshold=_spread(judged.threshold, fresh, count, np.nan),
        fresh=fresh,
        judged=judged,
    )


def _one_after_another(evidence: Sequence[Evidence]) -> Evidence:
    names = Evidence.__struct_fields__
    return Evidence(**{name: np.concatenate([getattr(each, name) for each in evidence]) for name in names})


def _spread(
    values: Values, fresh: np.ndarray[tuple[int], np.dtype[np.int64]], count: int, fill: float
) -> Values:
    """Return values of the fresh rows at their places in the batch, `fill` elsewhere."""
    if len(fresh) == count:
        return values
    out = np.full((count, *values.shape[1:]), fill, dtype=values.dtype)
    out[fresh] = values
    return cast("Values", out)
