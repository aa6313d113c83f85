"""Sliding windows of declared features, compiled: one kernel a kind of feature, one row at a time.

Every kernel walks a batch in feed order, learns a row if it counts, and then says the window's value with
that row in it.  `place` is the bucket of the running row, `newest` that of its entity's newest counted row;
a ring holds the buckets newest - slots + 1 .. newest.  Unknown entities (row -1) have no value: NaN.
"""

from detectors.kernels.compiled import kernel
from detectors.types import Flags, Floats, Rows32, Times

NEVER = -(2**62)
ALLOWED_LATENESS_MS = 60_000


@kernel
def opened(newest: Times, ring: Floats, fill: float, row: int, place: int) -> bool:
    """Move the entity's ring on to `place`, emptying what it passes; tell whether the ring holds it."""
    slots = ring.shape[1]
    passed = place - newest[row]
    if passed > 0:
        if passed >= slots:
            for slot in range(slots):
                ring[row, slot] = fill
        else:
            slot = newest[row] % slots
            for _ in range(passed):
                slot = slot + 1 if slot + 1 < slots else 0
                ring[row, slot] = fill
        newest[row] = place
    return bool(place > newest[row] - slots)


@kernel
def window_total(newest: Times, ring: Floats, row: int, place: int, buckets: int) -> float:
    """Add up the window that ends with `place`, oldest bucket first: a sum that has no history."""
    slots = ring.shape[1]
    first = max(place - buckets + 1, newest[row] - slots + 1)
    slot = first % slots
    total = 0.0
    for _ in range(min(place, newest[row]) - first + 1):
        total += ring[row, slot]
        slot = slot + 1 if slot + 1 < slots else 0
    return total


@kernel
def window_largest(newest: Times, ring: Floats, row: int, place: int, buckets: int) -> float:
    """Return the largest of the window that ends with `place`, -inf where it is empty."""
    slots = ring.shape[1]
    first = max(place - buckets + 1, newest[row] - slots + 1)
    slot = first % slots
    largest = float("-inf")
    for _ in range(min(place, newest[row]) - first + 1):
        largest = max(largest, ring[row, slot])
        slot = slot + 1 if slot + 1 < slots else 0
    return largest


@kernel
def slide_totals(
    times: Times,
    entity: Rows32,
    counted: Flags,
    values: Floats,
    newest: Times,
    ring: Floats,
    width: int,
    buckets: int,
    out: Floats,
) -> None:
    """Count and sum: the total of `values` over the window, 0 when nothing counted.

    Args:
        times: shape (n,); milliseconds.
        entity: shape (n,); the row of the entity's state, -1 for none.
        counted: shape (n,); whether the row passes the feature's filter.
        values: shape (n,); what a counted row adds.
        newest: shape (entities,); updated.
        ring: shape (entities, slots); totals by bucket, updated.
        width: milliseconds of a bucket.
        buckets: how many buckets the window has, the running one included.
        out: shape (n,); written.
    """
    for i in range(times.size):
        row = entity[i]
        if row < 0:
            out[i] = float("nan")
            continue
        place = times[i] // width
        unheld = 0.0
        if counted[i]:
            is_alone = place - newest[row] >= ring.shape[1]
            if opened(newest, ring, 0.0, row, place):
                ring[row, place % ring.shape[1]] += values[i]
            else:
                unheld = values[i]
            if is_alone:
                out[i] = ring[row, place % ring.shape[1]]
                continue
        elif place - newest[row] >= buckets:
            out[i] = 0.0
            continue
        out[i] = window_total(newest, ring, row, place, buckets) + unheld


@kernel
def slide_largest(
    times: Times,
    entity: Rows32,
    counted: Flags,
    values: Floats,
    newest: Times,
    ring: Floats,
    width: int,
    buckets: int,
    out: Floats,
) -> None:
    """Max: as `slide_totals`, NaN when nothing counted."""
    for i in range(times.size):
        row = entity[i]
        out[i] = float("nan")
        if row < 0:
            continue
        place = times[i] // width
        largest = float("-inf")
        if counted[i]:
            largest = values[i]
            if opened(newest, ring, float("-inf"), row, place):
                slot = place % ring.shape[1]
                ring[row, slot] = max(ring[row, slot], values[i])
        largest = max(largest, window_largest(newest, ring, row, place, buckets))
        if largest > float("-inf"):
            out[i] = largest


@kernel
def slide_distinct(
    times: Times,
    entity: Rows32,
    counted: Flags,
    values: Floats,
    newest: Times,
    ring: Floats,
    width: int,
    buckets: int,
    out: Floats,
) -> None:
    """Distinct: how many different `values` were seen since the window's start.

    The ring holds the most recently seen values, each followed by the bucket it was last seen in: exact
    up to their number, which larger counts show as.
    """
    for i in range(times.size):
        row = entity[i]
        out[i] = float("nan")
        if row < 0:
            continue
        place = times[i] // width
        if counted[i]:
            if newest[row] < place - 2 * buckets - ALLOWED_LATENESS_MS // width:
                ring[row, 1] = float("-inf")  # nothing is in sight any more: start over
            newest[row] = max(newest[row], place)
            remember(ring[row], values[i], place)
        out[i] = 0.0
        if newest[row] > place - buckets:
            out[i] = seen_since(ring[row], place - buckets)


@kernel
def remember(seen: Floats, value: float, place: int) -> None:
    """Note that `value` was seen in bucket `place`: where it stands, else in the free or oldest pair."""
    oldest = 0
    for slot in range(0, seen.size, 2):
        if seen[slot + 1] == float("-inf"):
            oldest = slot
            if slot + 2 < seen.size:
                seen[slot + 3] = float("-inf")
            break
        if seen[slot] == value:
            seen[slot + 1] = max(seen[slot + 1], place)
            return
        if seen[slot + 1] < seen[oldest + 1]:
            oldest = slot
    if place >= seen[oldest + 1]:
        seen[oldest] = value
        seen[oldest + 1] = place


@kernel
def seen_since(seen: Floats, before: int) -> int:
    """Return how many values were last seen in a bucket after `before`."""
    count = 0
    for slot in range(1, seen.size, 2):
        if seen[slot] == float("-inf"):
            break
        count += seen[slot] > before
    return count


@kernel
def slide_since(
    times: Times,
    entity: Rows32,
    counted: Flags,
    _values: Floats,
    newest: Times,
    ring: Floats,
    width: int,
    buckets: int,
    out: Floats,
) -> None:
    """Time since: seconds since the latest earlier counted row, NaN where that is out of the window."""
    for i in range(times.size):
        row = entity[i]
        out[i] = float("nan")
        if row < 0:
            continue
        passed = max(times[i] - ring[row, 0], 0.0)
        if passed < width * buckets:
            out[i] = passed / 1000.0
        if counted[i]:
            ring[row, 0] = max(ring[row, 0], times[i])
            newest[row] = max(newest[row], times[i] // width)
