"""When each entity was last seen, compiled."""

from detectors.kernels.compiled import kernel
from detectors.types import Rows32, Times


@kernel
def note_activity(times: Times, entity: Rows32, active: Times) -> None:
    """Keep the newest event time of every entity: shape (entities,), updated."""
    for i in range(times.size):
        if entity[i] >= 0:
            active[entity[i]] = max(active[entity[i]], times[i])
