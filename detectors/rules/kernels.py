"""Sliding windows of declared features, compiled: one kernel a kind of feature, one row at a time.

Every kernel walks a batch in feed order, learns a row and then says the window's value with that row in
it.  `place` is the bucket of the running row, `newest` that of its entity's newest row; a ring holds the
buckets newest - slots + 1 .. newest.  Unknown entities (row -1) have no value: NaN.
"""

from detectors.kernels.compiled import kernel
from detectors.types import Flags, Floats, Rows32, Times

NEVER = -(2**62)


@kernel
def opened(newest: Times, ring: Floats, fill: float, row: int, place: int) -> bool:
    """Move the entity's ring on to `place`, emptying what it passes; tell whether the ring holds it."""
    slots = ring.shape[1]
    passed = place - newest[row]
    if passed > 0:
        if passed >= slots:
            ring[row, :] = fill
        else:
            for bucket in range(newest[row] + 1, place + 1):
                ring[row, bucket % slots] = fill
        newest[row] = place
    return bool(place > newest[row] - slots)


@kernel
def first_held(newest: Times, slots: int, row: int, place: int, buckets: int) -> int:
    """Return the first bucket of the window that ends with `place` that the ring still holds."""
    return int(max(place - buckets + 1, newest[row] - slots + 1))


@kernel
def window_total(ring: Floats, row: int, first: int, last: int) -> float:
    """Add up the buckets `first` to `last`, oldest first, so that the sum never depends on its history."""
    slots = ring.shape[1]
    slot = first % slots
    total = 0.0
    for _ in range(last - first + 1):
        total += ring[row, slot]
        slot = slot + 1 if slot + 1 < slots else 0
    return total


@kernel
def window_largest(ring: Floats, row: int, first: int, last: int) -> float:
    """Return the largest of the buckets `first` to `last`, -inf where they are empty."""
    slots = ring.shape[1]
    slot = first % slots
    largest = float("-inf")
    for _ in range(last - first + 1):
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
    slots = ring.shape[1]
    for i in range(times.size):
        row = entity[i]
        out[i] = float("nan")
        if row < 0:
            continue
        place = times[i] // width
        held = opened(newest, ring, 0.0, row, place)
        alone = values[i] if counted[i] else 0.0
        if held:
            ring[row, place % slots] += alone
        first = first_held(newest, slots, row, place, buckets)
        out[i] = window_total(ring, row, first, place) if held else alone


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
    slots = ring.shape[1]
    for i in range(times.size):
        row = entity[i]
        out[i] = float("nan")
        if row < 0:
            continue
        place = times[i] // width
        held = opened(newest, ring, float("-inf"), row, place)
        alone = values[i] if counted[i] else float("-inf")
        if held:
            ring[row, place % slots] = max(ring[row, place % slots], alone)
            alone = window_largest(ring, row, first_held(newest, slots, row, place, buckets), place)
        if alone > float("-inf"):
            out[i] = alone


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

    The ring holds the most recently seen values, then the bucket each was last seen in: exact up to
    their number, which larger counts show as.
    """
    size = ring.shape[1] // 2
    for i in range(times.size):
        row = entity[i]
        out[i] = float("nan")
        if row < 0:
            continue
        place = times[i] // width
        newest[row] = max(newest[row], place)
        seen, last = ring[row, :size], ring[row, size:]
        if counted[i]:
            remember(seen, last, values[i], place)
        count = 0
        for slot in range(size):
            count += last[slot] > place - buckets
        out[i] = count


@kernel
def remember(seen: Floats, last: Floats, value: float, place: int) -> None:
    """Note that `value` was seen in bucket `place`, in the slot it has or else in the oldest one."""
    oldest = 0
    for slot in range(seen.size):
        if seen[slot] == value and last[slot] > float("-inf"):
            last[slot] = max(last[slot], place)
            return
        if last[slot] < last[oldest]:
            oldest = slot
    if place >= last[oldest]:
        seen[oldest] = value
        last[oldest] = place


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


@kernel
def note_activity(times: Times, entity: Rows32, active: Times) -> None:
    """Keep the newest event time of every entity: shape (entities,), updated."""
    for i in range(times.size):
        if entity[i] >= 0:
            active[entity[i]] = max(active[entity[i]], times[i])
