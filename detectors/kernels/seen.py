"""What an entity has met before: its last different ones, the oldest given up first."""

from typing import Final

from detectors.kernels.compiled import kernel
from detectors.types import Codes, Rows32

UNKNOWN: Final = -1
MET: Final = 0
NEW: Final = 1


@kernel
def first_seen(value: Rows32, entity: Rows32, rings: Rows32, out: Codes) -> None:
    """Return whether each value is new to its entity, then remember it.

    Args:
        value: shape (n,); -1 when unknown.
        entity: shape (n,).
        rings: shape (entities, 1 + places); how many ever, then value + 1 of the last ones; updated.
        out: shape (n,); NEW, MET, or UNKNOWN for an unknown value and for the entity's first.
    """
    places = rings.shape[1] - 1
    for i in range(value.size):
        out[i] = UNKNOWN
        if value[i] < 0:
            continue
        ring = rings[entity[i]]
        if _holds(ring, value[i] + 1):
            out[i] = MET
            continue
        if ring[0] > 0:
            out[i] = NEW
        ring[1 + ring[0] % places] = value[i] + 1
        ring[0] += 1


@kernel
def _holds(ring: Rows32, value: int) -> bool:
    for place in range(1, ring.size):
        if ring[place] == value:
            return True
        if ring[place] == 0:
            return False
    return False
