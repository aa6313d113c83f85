"""Something new to an entity, against how often something is new to entities with as long a past."""

from math import log
from typing import Final

from detectors.kernels.compiled import kernel
from detectors.kernels.tail import SILENT
from detectors.types import Floats

LEVELS: Final = 5
"""Pasts of up to 2, 9, 29, 99 and more rows."""

ROWS: Final = 0
NEW: Final = 1
WIDTH: Final = 2


@kernel
def novelty_evidence(
    is_new: Floats, past: Floats, levels: Floats, settings: Floats, out: Floats, rate: Floats
) -> None:
    """Score rows by whether they brought something new, then learn how often that happens.

    Args:
        is_new: shape (n,); 1, 0, or NaN when unknown (silent, not learnt).
        past: shape (n,); rows known of the entity.
        levels: shape (LEVELS, WIDTH); updated.
        settings: onset, share of a thief's rows that are new, rows before anything is said.
        out: shape (n,); evidence in log odds.
        rate: shape (n,); expected share of new ones.
    """
    for i in range(is_new.size):
        out[i] = SILENT
        if not is_new[i] >= 0.0:
            continue
        level = levels[_level(past[i])]
        rate[i] = (level[NEW] + 0.5) / (level[ROWS] + 10.0)
        if is_new[i] > 0.0 and level[ROWS] >= settings[2]:
            out[i] = log(settings[0] / (1.0 - settings[0])) + log(settings[1] / rate[i])
        level[ROWS] += 1.0
        level[NEW] += is_new[i]
        if level[ROWS] >= 100_000.0:
            level *= 0.9


@kernel
def _level(past: float) -> int:
    if past < 3.0:
        return 0
    if past < 10.0:
        return 1
    if past < 30.0:
        return 2
    return 3 if past < 100.0 else 4
