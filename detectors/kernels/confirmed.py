"""Confirmed frauds of each entity by event-time day, and their share of what it did: compiled."""

from typing import Final

import numpy as np

from detectors.kernels.compiled import kernel
from detectors.types import Floats, Matrix32, Rows32, Times

WINDOWS: Final = (3, 7, 14, 28)
"""Days over which the share is taken, all of them ending `delay` days ago."""


@kernel
def count_days(days: Times, entity: Rows32, newest: int, counts: Matrix32) -> None:
    """Count each row in its entity's ring of days.

    Args:
        days: shape (n,); days since 1970, none after `newest`.
        entity: shape (n,).
        newest: the newest day that the rings hold.
        counts: shape (entities, days held); updated.
    """
    held = counts.shape[1]
    for i in range(days.size):
        if days[i] > newest - held:
            counts[entity[i], days[i] % held] += 1.0


@kernel
def confirmed_shares(
    days: Times,
    entity: Rows32,
    counts: Matrix32,
    frauds: Matrix32,
    settings: Floats,
    logits: Floats,
    totals: Floats,
) -> None:
    """Return what is confirmed of each row's entity, over windows that end `delay` days before the row.

    Args:
        days: shape (n,).
        entity: shape (n,).
        counts: shape (entities, days held).
        frauds: shape (entities, days held).
        settings: delay in days, prior rows, and their share of frauds.
        logits: shape (n, windows); log odds of the share, the prior in it; written.
        totals: shape (2, n); confirmed frauds and rows over the longest window; written.
    """
    held = counts.shape[1]
    for i in range(days.size):
        last = days[i] - int(settings[0]) - 1
        rows = 0.0
        bad = 0.0
        back = 0
        for w in range(len(WINDOWS)):
            while back < WINDOWS[w]:
                slot = (last - back) % held
                rows += counts[entity[i], slot]
                bad += frauds[entity[i], slot]
                back += 1
            good = max(rows - bad, 0.0) + settings[1] * (1.0 - settings[2])
            logits[i, w] = np.log((bad + settings[1] * settings[2]) / good)
        totals[0, i] = bad
        totals[1, i] = rows
