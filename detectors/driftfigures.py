"""The figures by which detection watches itself, and what each says when it leaves its band."""

from collections.abc import Callable
from math import sqrt
from typing import Final

import msgspec
import numpy as np

from detectors.kernels.stretch import ENTITY_LEVEL
from detectors.rows import milliseconds
from detectors.scored import Scored
from detectors.types import Floats

YOUNG: Final = 5
"""A baseline of fewer observations warms up."""
_BY = "user_amount"
"""The detector whose baselines are counted: it knows every user."""
_SURE: Final = 6.0
"""Standard errors within which a share is taken for chance."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine said of some rows."""

    score: Floats
    last: int
    """Their newest event time, in milliseconds."""
    flagged: int
    judged: int
    """Rows for which the user's amounts were judged."""
    own: int
    """Of them by the user's own baseline."""
    young: int
    """Of them with fewer than YOUNG observations."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure: how it is scaled before it is averaged, and how wide its band is at least."""

    name: str
    scale: Callable[[float], float]
    unscale: Callable[[float], float]
    least_width: Callable[[float, int], float]
    """Half width, on the scale, from the mean on the scale and the number of payments."""
    sentence: Callable[[float, float, float, int], str]
    """From value, low, high and the number of payments."""


def counted(scored: Scored, start: int, stop: int) -> Counted:
    """Return the counts of the scored rows from `start` to `stop` (positions among those judged)."""
    part, judged = slice(start, stop), scored.judged
    by = [judged.found[k] for k, name in enumerate(scored.names) if name == _BY]
    return Counted(
        score=judged.score[part],
        last=int(milliseconds(judged.published.frame["timestamp"])[part].max()),
        flagged=int(np.count_nonzero(judged.severity[part])),
        judged=len(by) * (stop - start),
        own=sum(int(np.count_nonzero(found.level[part] == ENTITY_LEVEL)) for found in by),
        young=sum(int(np.count_nonzero(found.size[part] < YOUNG)) for found in by),
    )


def _share_width(mean: float, count: int) -> float:
    return max(0.05, _SURE * sqrt(max(mean * (1.0 - mean), 0.0) / count))


def _rate_width(mean: float, count: int) -> float:
    """On the square-root scale a count's standard error is a half, however large it is."""
    return max(0.4 * mean, _SURE * 0.5 / sqrt(count / 1000.0))


def _score_width(mean: float, count: int) -> float:
    """Five points of the score, more where few payments make it uncertain."""
    del mean
    return max(5.0, 100.0 / sqrt(count))


def _same(value: float) -> float:
    return value


def _share_sentence(what: str) -> Callable[[float, float, float, int], str]:
    def sentence(value: float, low: float, high: float, count: int) -> str:
        return (
            f"{value:.0%} of {count:,} payments {what}, where {max(low, 0.0):.0%} to {min(high, 1.0):.0%} "
            "are usual at this time of day"
        )

    return sentence


def _rate_sentence(value: float, low: float, high: float, count: int) -> str:
    return (
        f"{value:.1f} of 1,000 payments were anomalies ({count:,} payments), where {low:.1f} to {high:.1f} "
        "are usual at this time of day"
    )


def _scores_sentence(value: float, low: float, high: float, count: int) -> str:
    return (
        f"one payment in twenty scored above {value:.1f} ({count:,} payments), where {max(low, 0.0):.1f} to "
        f"{high:.1f} are usual at this time of day"
    )


FIGURES: Final = (
    Figure(
        name="scores",
        scale=_same,
        unscale=_same,
        least_width=_score_width,
        sentence=_scores_sentence,
    ),
    Figure(
        name="anomalies",
        scale=sqrt,
        unscale=lambda root: max(root, 0.0) ** 2,
        least_width=_rate_width,
        sentence=_rate_sentence,
    ),
    Figure(
        name="own baselines",
        scale=_same,
        unscale=_same,
        least_width=_share_width,
        sentence=_share_sentence("were judged by their user's own past"),
    ),
    Figure(
        name="new users",
        scale=_same,
        unscale=_same,
        least_width=_share_width,
        sentence=_share_sentence(f"came from users with fewer than {YOUNG} earlier ones"),
    ),
)
