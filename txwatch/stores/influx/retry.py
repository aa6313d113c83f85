"""Whether a failed request is tried again, and after how long: pure, so that it is tested without waiting."""

from datetime import timedelta
from typing import NamedTuple

BASE_SECONDS = 0.1
CAP_SECONDS = 5.0
BUSY = frozenset({429, 500, 502, 503, 504})
"""Answers that may be another one in a moment."""


class Failure(NamedTuple):
    """What went wrong: the server's status, or None when no answer came; what it asked us to wait."""

    status: int | None
    sentence: str
    retry_after: float | None = None


class TryAgain(NamedTuple):
    """Wait so long and try again, and why."""

    seconds: float
    reason: str


class GiveUp(NamedTuple):
    """Do not try again, and why; `later` tells whether the same request may pass later."""

    reason: str
    later: bool


def decide(
    failure: Failure, attempt: int, waited: timedelta, patience: timedelta, luck: float
) -> TryAgain | GiveUp:
    """Return what to do after the failed `attempt` (from 0).

    The wait doubles with every attempt up to a cap and is spread by `luck` (0 to 1), so that many clients
    do not come back at the same moment; the server's own wish is kept.  After `patience` of waiting it is
    the caller's turn.
    """
    if failure.status is not None and failure.status not in BUSY:
        return GiveUp(f"the server refuses: {failure.sentence}", later=False)
    if waited >= patience:
        return GiveUp(f"gave up after waiting {waited.total_seconds():.0f} s: {failure.sentence}", later=True)
    backoff = min(CAP_SECONDS, BASE_SECONDS * 2 ** min(attempt, 30)) * (0.5 + luck / 2)
    return TryAgain(max(backoff, failure.retry_after or 0.0), failure.sentence)
