"""Canaries scored as payments are, and taught to nobody.

The running state learns from whatever it scores, so canaries are kept from it.  Each is scored by an engine
of its own, of the same code, settings and rules, that has just seen a few thousand ordinary payments, some of
them the canary's.  It is found when that engine flags it as high and the running one has not fallen silent.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec
import numpy as np
import polars as pl

from detectors.engine import Engine
from detectors.kernels.tail import SILENT
from detectors.ordinary import complete, stream
from detectors.rulebook import RuleBook
from detectors.scored import Scored
from detectors.settings import DetectionSettings
from txwatch.canary import anomalies_of
from txwatch.model import Anomaly, Reason, Severity

FINDERS: Final = frozenset({"user_amount", "amount_tail"})
"""Each of them alone finds a canary; where all are switched off, it is scored and need not be strange."""
LEAST: Final = Severity.HIGH
"""A canary is as severe as what people are told of, unless a policy says otherwise."""
MUTE_ROWS: Final = 10_000
"""So many payments without a word of any detector, after there were some, are no chance."""
_BEYOND: Final = 1000
"""Ordinary payments after the last detector is warm."""
_BEFORE: Final = timedelta(hours=1)
_APART: Final = ("forest",)
"""Stays silent here: it would be fitted for each canary, in another thread."""


class Rehearsal:
    """Finds canaries, and says why one was not found.

    Whatever breaks here costs the canary, which is then missed, and never a payment.  Blind to a running
    state that is wrong and still talks: that is for the drift watch.
    """

    def __init__(self, settings: DetectionSettings, rulebook: Callable[[], RuleBook]) -> None:
        self._settings, self._rulebook = settings, rulebook
        self._silent: int | None = None
        self._fault = ""

    def listen(self, scored: Scored) -> None:
        """Note whether the running engine said anything of the payments that it has just scored."""
        spoke = np.flatnonzero((scored.judged.evidence > SILENT).any(axis=1))
        if len(spoke):
            self._silent = len(scored.fresh) - 1 - int(spoke[-1])
        elif self._silent is not None:
            self._silent += len(scored.fresh)

    def found(self, canaries: pl.DataFrame, at: datetime) -> list[Anomaly]:
        """Return the anomalies of canaries (columns FEED); none where the newest is not found."""
        if canaries.is_empty():
            return []
        why, self._fault = self._judged(canaries[-1:])
        return [] if self._fault else anomalies_of(canaries, at, why)

    def faults(self) -> list[str]:
        """Return why the last canary was not found; nothing when it was."""
        return [self._fault] if self._fault else []

    def _judged(self, canary: pl.DataFrame) -> tuple[tuple[Reason, ...], str]:
        if self._silent is not None and self._silent >= MUTE_ROWS:
            return (), f"no detector has said anything of the last {self._silent:,} payments"
        try:
            why = scored_apart(canary, self._settings, self._rulebook())
        except Exception as error:  # noqa: BLE001 - whatever is broken, payments go on, and the canary is missed
            return (), f"a canary could not be scored: {type(error).__name__}: {error}"
        if why is None:
            return (
                (),
                "a canary was scored as an ordinary payment: what should be found is not",
            )
        return why, ""


def scored_apart(
    canary: pl.DataFrame, settings: DetectionSettings, rulebook: RuleBook
) -> tuple[Reason, ...] | None:
    """Return why a canary (one row, columns FEED) is found, None if it should be and is not."""
    off = tuple(dict.fromkeys((*settings.off, *_APART)))
    engine = Engine(msgspec.structs.replace(settings, off=off, feedback=None), rulebook)
    needed = [*engine.warm_ups().values(), settings.calibration.warm_up]
    engine.step(ordinary(canary, max(each or 0 for each in needed) + _BEYOND))
    scored = engine.step(canary)
    found = dict(engine.reasons(scored)).get(0, ())
    is_missed = scored.severity[0] < LEAST and FINDERS & set(engine.names)
    return None if is_missed else found


def ordinary(canary: pl.DataFrame, count: int) -> pl.DataFrame:
    """Return ordinary payments (columns TRANSACTION) of the weeks before a canary, some of its user."""
    row = canary.row(0, named=True)
    before = row["timestamp"] - _BEFORE
    rows = stream(count)
    shift = timedelta(days=(before - rows["timestamp"][-1]).days)
    return complete(
        rows.with_columns(
            timestamp=pl.col("timestamp") + shift,
            user_id=pl.col("user_id").replace({"u0": row["user_id"]}),
            currency=pl.lit(row["currency"]),
        )
    )
