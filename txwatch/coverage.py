"""What was looked at: for each window of event time and each detector, how many rows had which fate.

Only counts are kept.  Whether a window was evaluated, warmed up, failed, was missed or has no data follows
from them (`state_of`), together with how many transactions are stored.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

WINDOW_SECONDS = 600
"""Length of a window; windows start at multiples of it since 1970."""
WINDOW = timedelta(seconds=WINDOW_SECONDS)

FEED = "feed"
"""Not a detector: the transactions that were read, whatever became of them."""
RULES = "rules"
SERIES = "series"
"""All rules that work, and all series of the traffic."""
BROKEN = "rule "
SHADOW = "shadow "
"""Begin the names under which a rule that fails, and one in shadow, are counted."""


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many rows of one window one detector met; for `series`, how many windows of series."""

    evaluated: int = 0
    warming_up: int = 0
    """Too little past to say anything."""
    without: int = 0
    """The detector has nothing to look at in them: no place, no declined attempt."""
    failed: int = 0
    late: int = 0
    """Came late: what was said of the window before is revised, or for series goes without them."""
    filled: int = 0
    """Evaluated afterwards, by `txwatch coverage fill`."""
    hits: int = 0
    """Of a rule in shadow: how many rows it held for."""
    known: int = 0
    """Of these, how many were anomalies without it."""

    def __add__(self, other: "Tally") -> "Tally":
        """Return both together."""
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


Window = Mapping[str, Tally]
"""By detector."""
Counted = Mapping[datetime, Window]
"""By start of the window."""


class State(StrEnum):
    """What became of one window for one detector."""

    EVALUATED = "evaluated"
    REVISED = "revised"
    """Evaluated, and late data came afterwards."""
    FILLED = "filled"
    """Evaluated afterwards."""
    WARMING_UP = "warming up"
    NO_DATA = "no data"
    FAILED = "failed"
    MISSED = "missed"
    """Transactions are stored that nobody evaluated."""
    WAITING = "waiting"
    """Transactions are stored that nobody has come to yet."""


GAPS = (State.FAILED, State.MISSED)
"""What `txwatch coverage fill` can evaluate afterwards."""


def start_of(moment: datetime) -> datetime:
    """Return the start of the window of a moment."""
    return datetime.fromtimestamp(int(moment.timestamp()) // WINDOW_SECONDS * WINDOW_SECONDS, UTC)


def added(parts: Iterable[Counted]) -> dict[datetime, dict[str, Tally]]:
    """Return several counts as one."""
    total: dict[datetime, dict[str, Tally]] = {}
    for part in parts:
        for start, window in part.items():
            known = total.setdefault(start, {})
            for detector, tally in window.items():
                known[detector] = known[detector] + tally if detector in known else tally
    return total


def shadow_hits(windows: Counted) -> dict[str, Tally]:
    """Return by id what rules in shadow hit."""
    found: dict[str, Tally] = {}
    for window in windows.values():
        for name, tally in window.items():
            if name.startswith(SHADOW):
                rule = name.removeprefix(SHADOW)
                found[rule] = found.get(rule, Tally()) + tally
    return found


def missed(window: Window, stored: int) -> int:
    """Return how many stored transactions of a window were neither read nor evaluated afterwards."""
    read = window.get(FEED, Tally())
    return max(stored - read.evaluated - read.filled, 0)


def state_of(detector: str, window: Window, stored: int, *, reached: bool) -> State:
    """Return what became of a window, of which so many transactions are stored.

    `reached` says whether detection has come to it, or further.
    """
    tally = window.get(detector, Tally())
    if missed(window, stored) and detector != SERIES:
        return State.MISSED if reached else State.WAITING
    if tally.failed > tally.filled:
        return State.FAILED
    if tally.evaluated + tally.warming_up + tally.filled == 0:
        return State.NO_DATA
    if tally.warming_up > tally.evaluated + tally.filled:
        return State.WARMING_UP
    if tally.filled:
        return State.FILLED
    return State.REVISED if tally.late else State.EVALUATED
