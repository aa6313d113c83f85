"""What a forest did on payments that came after the last one it was fitted to, and whether it is no worse.

Without labels, better means: it describes ordinary payments better, so that they are less isolated (as a
density would give them a higher likelihood).  Beside that, it must not lose sight of what the other
detectors suspect, nor suspect many more payments on its own.  How it ranks suspected payments is no
measure of better: on the handbook's set, forests fitted to the first days rank them higher and true frauds
lower than later ones do.
"""

from typing import Final

import msgspec
import numpy as np

from detectors.state import State, Table
from detectors.types import Flags, Floats

BINS: Final = 256
OTHERS, SUSPECTED = 0, 1

LEAST_ROWS: Final = 500
"""Payments that a judgement needs."""
LEAST_SUSPECTED: Final = 20
"""Suspected payments below which their ranking says nothing."""
MARGIN: Final = 0.02
"""By how much ordinary payments may be more isolated; fits of two days in a row differ by half of it."""
SIGHT: Final = 0.2
"""By how much the ranking of suspected payments may fall; in good fits it moves by half of it."""
TIMES_ALONE: Final = 2.0
ALONE_SHARE: Final = 0.001
"""How many more payments it may suspect on its own: twice as many, and one in a thousand."""

_CENTRES: Final = (np.arange(BINS) + 0.5) / BINS


class HeldBack(msgspec.Struct, frozen=True, kw_only=True):
    """One forest on held-back payments."""

    rows: int
    suspected: int
    """Payments that other detectors hold for likelier fraud than not."""
    ranking: float
    """Chance that a suspected payment is more isolated than another one (area under the ROC curve)."""
    ordinary: float
    """Mean isolation of the other payments, 0 to 1; the lower, the better it describes them."""
    alone: int
    """Payments that this forest alone holds for likelier fraud than not."""


def held_back_tables() -> dict[str, Table]:
    """Return the shapes in which it is counted."""
    return {"isolated": Table("", (BINS,), rows_each=2), "alone": Table("", ())}


def watch(state: State, isolated: Floats, log_odds: Floats, suspected: Flags) -> None:
    """Count held-back payments: how isolated each is (0 to 1), the forest's evidence, others' suspicion."""
    bins = np.clip((isolated * BINS).astype(np.int64), 0, BINS - 1)
    for row, chosen in ((OTHERS, ~suspected), (SUSPECTED, suspected)):
        state["isolated"][row] += np.bincount(bins[chosen], minlength=BINS)
    state["alone"][0] += np.count_nonzero((log_odds >= 0.0) & ~suspected)


def forget(state: State) -> None:
    """Begin to count anew."""
    state["isolated"][:] = 0.0
    state["alone"][:] = 0.0


def held_back(state: State) -> HeldBack:
    """Return what was counted."""
    others, suspected = state["isolated"]
    pairs = others.sum() * suspected.sum()
    below = np.concatenate(([0.0], np.cumsum(others)[:-1])) + others / 2.0
    return HeldBack(
        rows=int(others.sum() + suspected.sum()),
        suspected=int(suspected.sum()),
        ranking=round(float(suspected @ below / pairs), 6) if pairs else 0.5,
        ordinary=round(float(others @ _CENTRES / max(others.sum(), 1.0)), 6),
        alone=int(state["alone"][0]),
    )


def why_worse(challenger: HeldBack, champion: HeldBack) -> str:
    """Return in one sentence why the challenger is worse, nothing where it is not."""
    if challenger.ordinary > champion.ordinary + MARGIN:
        return (
            f"it describes ordinary payments worse: their isolation is {challenger.ordinary:.3f} where "
            f"today's forest gives them {champion.ordinary:.3f}"
        )
    if challenger.suspected >= LEAST_SUSPECTED and challenger.ranking < champion.ranking - SIGHT:
        return (
            f"it tells suspected payments from others far worse: ranking {challenger.ranking:.3f} where "
            f"today's forest has {champion.ranking:.3f}"
        )
    if challenger.alone > TIMES_ALONE * champion.alone + ALONE_SHARE * challenger.rows:
        return (
            f"it alone suspects {challenger.alone:,} of {challenger.rows:,} payments where today's forest "
            f"suspects {champion.alone:,}"
        )
    return ""
