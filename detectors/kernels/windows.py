"""Sliding windows in event-time buckets: a row out of order counts in the bucket it belongs to."""

import numpy as np

from detectors.kernels.compiled import kernel
from detectors.types import Floats, Rows32, Times


@kernel
def window_totals(
    times: Times,
    entity: Rows32,
    add: Floats,
    buckets: Floats,
    latest: Times,
    width: int,
    out: Floats,
) -> None:
    """Add each row to its entity's window and return the window's total, this row included.

    Args:
        times: shape (n,); milliseconds.
        entity: shape (n,).
        add: shape (n,); what the row adds.
        buckets: shape (entities, 1 + slots); the window's total, then by bucket, a ring; updated.
        latest: shape (entities,); the newest bucket's number, 0 before any; updated.
        width: milliseconds of a bucket; the window is `slots` buckets.
        out: shape (n,); total over the window that ends with the newest bucket.
    """
    for i in range(times.size):
        ring = buckets[entity[i]]
        slot = times[i] // width
        if slot > latest[entity[i]]:
            _expire(ring, latest[entity[i]], slot)
            latest[entity[i]] = slot
        slots = ring.size - 1
        if slot > latest[entity[i]] - slots:
            ring[1 + slot % slots] += add[i]
            ring[0] += add[i]
        out[i] = ring[0]


@kernel
def _expire(ring: Floats, newest: int, slot: int) -> None:
    """Empty the buckets that the window has passed; an empty window forgets rounding errors too."""
    slots = ring.size - 1
    if slot - newest >= slots:
        ring[:] = 0.0
        return
    for passed in range(newest + 1, slot + 1):
        ring[0] -= ring[1 + passed % slots]
        ring[1 + passed % slots] = 0.0


@kernel
def seconds_since_last(times: Times, entity: Rows32, last: Times, out: Floats) -> None:
    """Return the seconds since each entity's latest earlier row, 0 when out of order, NaN for the first.

    Args:
        times: shape (n,); milliseconds, not 0.
        entity: shape (n,).
        last: shape (entities,); latest time, 0 before any; updated.
        out: shape (n,).
    """
    for i in range(times.size):
        before = last[entity[i]]
        out[i] = max(times[i] - before, 0) / 1000.0 if before > 0 else np.nan
        last[entity[i]] = max(before, times[i])
