"""Sliding windows in event-time buckets: a row out of order counts in the bucket it belongs to."""

import numpy as np

from detectors.kernels.compiled import kernel
from detectors.types import Floats, Rows32, Times


@kernel
def window_totals(
    slots: Times, entity: Rows32, add: Floats, buckets: Floats, latest: Times, out: Floats
) -> None:
    """Add each row to its entity's window and return the window's total, this row included.

    Args:
        slots: shape (n,); number of the row's bucket: event time over the buckets' length.
        entity: shape (n,).
        add: shape (n,); what the row adds.
        buckets: shape (entities, 1 + buckets of a window); the window's total, then by bucket, a ring;
            updated.
        latest: shape (entities,); the newest bucket's number, 0 before any; updated.
        out: shape (n,); total over the window that ends with the newest bucket.
    """
    held = buckets.shape[1] - 1
    for i in range(slots.size):
        ring = buckets[entity[i]]
        slot = slots[i]
        if slot > latest[entity[i]]:
            _expire(ring, held, latest[entity[i]], slot)
            latest[entity[i]] = slot
        if slot > latest[entity[i]] - held:
            ring[1 + slot % held] += add[i]
            ring[0] += add[i]
        out[i] = ring[0]


@kernel
def _expire(ring: Floats, held: int, newest: int, slot: int) -> None:
    """Empty the buckets that the window has passed; an empty window forgets rounding errors too."""
    if slot - newest >= held:
        if ring[0] != 0.0:
            ring[:] = 0.0
        return
    place = newest % held
    for _ in range(slot - newest):
        place = place + 1 if place + 1 < held else 0
        ring[0] -= ring[1 + place]
        ring[1 + place] = 0.0


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
