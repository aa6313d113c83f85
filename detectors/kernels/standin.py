"""What a memory per entity would find by chance: the same filter on rows that are not its own.

Each row is given what the row before it in the stream said (its log likelihood ratio), which is another
entity's as a rule.  Where being compromised is no matter of this entity, the stand-in is exceeded as often
as the evidence itself (target and decoy, Elias and Gygi 2007); `calibrate` compares the two.
"""

from typing import Final

from detectors.kernels.compiled import kernel
from detectors.kernels.stretch import ENTITY_WIDTH, bad_row
from detectors.kernels.tail import SILENT
from detectors.types import Floats, Rows32, Times

WIDTH: Final = ENTITY_WIDTH


@kernel
def stand_in_evidence(
    times: Times,
    entity: Rows32,
    ratio: Floats,
    states: Floats,
    before: Floats,
    settings: Floats,
    out: Floats,
) -> None:
    """Return the evidence of each row had the row before it in the stream been its entity's.

    Args:
        times: shape (n,).
        entity: shape (n,).
        ratio: shape (n,); log likelihood ratio of each row, NaN where it says nothing.
        states: shape (entities, WIDTH); updated.
        before: shape (1,); ratio of the last row that said something, updated.
        settings: as for `stretch_evidence`.
        out: shape (n,); log odds, SILENT where the row says nothing.
    """
    for i in range(ratio.size):
        out[i] = SILENT
        if ratio[i] == ratio[i]:
            out[i] = bad_row(states[entity[i]], times[i], before[0], settings)
            before[0] = ratio[i]
