"""When evidence becomes an anomaly: once per event, and again when it is graded otherwise.

An event grows graver as its windows close.  When what was seen in them is corrected, it is judged again:
it may be graver, less grave, or never have been one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from detectors.series.method import Floats

NEW = -1
"""The level of an event that was not given yet."""


class Event(msgspec.Struct, kw_only=True):
    """An event of one series.  Windows are numbers; `opened` names it and never changes."""

    series: int
    opened: int
    last: int
    """The last strange window so far."""
    level: int = NEW
    revision: int = 0
    """How often it was judged otherwise, because of late data."""
    withdrawn: bool = False
    end: int = 0
    """The last window of the sum that was told last."""
    rows: int = 0
    """How many windows that was the sum of."""
    seen: float = 0.0
    codes: int = 0
    """What it was called so far: a bit for each of `account.CODES`."""


_NUMBERS = ("series", "opened", "last", "level", "revision", "withdrawn", "end", "rows", "codes")


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is new, or graded otherwise than when it was last raised."""

    event: Event
    window: int
    """The window that speaks loudest; of one that is withdrawn the last of what was told."""
    before: int | None
    """Its level before, None for a new one."""

    @property
    def again(self) -> bool:
        """Whether it was raised before."""
        return self.before is not None


class Events:
    """An event begins when evidence reaches the threshold and ends after a rest below it.

    Args:
        threshold: evidence from which on a window is strange.
        rest: windows below the threshold that end an event.
        steps: evidence at which an event reaches the next level, growing.
        span: for how many windows an event may be judged again.
    """

    def __init__(self, threshold: float, rest: int, steps: tuple[float, ...], span: int = 0) -> None:
        self._threshold = threshold
        self._rest = rest
        self._steps = steps
        self._remembered = max(rest, span)
        self._events: dict[int, list[Event]] = {}

    def step(self, window: int, evidence: Floats) -> list[Raised]:
        """Return what this window begins or makes graver, in order of series; nan evidence is none."""
        strange = np.flatnonzero(np.nan_to_num(evidence) >= self._threshold)
        levels = self._levels(evidence[strange])
        found = [self._raised(int(n), window, level) for n, level in zip(strange, levels, strict=True)]
        return [raised for raised in found if raised is not None]

    def amend(self, series: int, oldest: int, first: int, evidence: Floats) -> list[Raised]:
        """Return what is graded otherwise, withdrawn or new, now that windows were judged again.

        Args:
            series: its number.
            oldest: the first window of `evidence`; an event that began before it stays as it is.
            first: the first window whose evidence is new.
            evidence: of every window from `oldest` to the newest, shape (n,).
        """
        events = self._events.setdefault(series, [])
        strange: dict[int, list[int]] = {event.opened: [] for event in events}
        for place in np.flatnonzero(np.nan_to_num(evidence) >= self._threshold).tolist():
            window = oldest + place
            event = _around(events, window, self._rest)
            if event is None and window >= first:
                event = self._begin(series, window)
                strange[event.opened] = []
            if event is not None:
                event.last = max(event.last, window)
                strange[event.opened].append(window)
        judged = [each for each in events if each.opened >= oldest and each.last >= first]
        found = [self._judged(each, strange[each.opened], oldest, evidence) for each in judged]
        return [raised for raised in found if raised is not None]

    def dump(self) -> dict[str, Any]:
        """Return all state."""
        events = [event for listed in self._events.values() for event in listed]
        numbers = {name: [int(getattr(event, name)) for event in events] for name in _NUMBERS}
        kept: dict[str, Any] = {
            f"events.{name}": np.array(column, np.int64) for name, column in numbers.items()
        }
        return kept | {"events.seen": np.array([event.seen for event in events], np.float64)}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take over a dump."""
        columns = {name: np.asarray(kept[f"events.{name}"]).tolist() for name in (*_NUMBERS, "seen")}
        self._events = {}
        for values in zip(*columns.values(), strict=True):
            fields = dict(zip(columns, values, strict=True))
            event = Event(**fields | {"withdrawn": bool(fields["withdrawn"])})
            self._events.setdefault(event.series, []).append(event)

    def _levels(self, evidence: Floats) -> list[int]:
        return [int(level) for level in np.searchsorted(self._steps, evidence, side="right")]

    def _raised(self, series: int, window: int, level: int) -> Raised | None:
        events = self._events.get(series, ())
        running = [each for each in events if not each.withdrawn and window - each.last <= self._rest]
        event = running[-1] if running else self._begin(series, window)
        event.last = window
        if level <= event.level:
            return None
        before, event.level = event.level, level
        return Raised(event=event, window=window, before=None if before == NEW else before)

    def _begin(self, series: int, window: int) -> Event:
        """Begin an event; what is too old to be judged again is forgotten."""
        event = Event(series=series, opened=window, last=window)
        events = self._events.setdefault(series, [])
        events[:] = [each for each in events if window - each.last <= self._remembered]
        events.append(event)
        events.sort(key=lambda each: each.opened)
        return event

    def _judged(self, event: Event, strange: Sequence[int], oldest: int, evidence: Floats) -> Raised | None:
        before = None if event.level == NEW else event.level
        if not strange:
            if event.withdrawn:
                return None
            event.withdrawn = True
            event.revision += 1
            return Raised(event=event, window=event.end, before=before)
        event.last = strange[-1]
        loudest = max(strange, key=lambda window: float(evidence[window - oldest]))
        (level,) = self._levels(evidence[[loudest - oldest]])
        if level == event.level and not event.withdrawn:
            return None
        event.revision += int(before is not None)
        event.level, event.withdrawn = level, False
        return Raised(event=event, window=loudest, before=before)


def _around(events: Sequence[Event], window: int, rest: int) -> Event | None:
    """Return the event to which a strange window belongs; a little before its beginning is still it."""
    within = [each for each in events if each.opened <= window <= each.last + rest]
    after = [each for each in events if window < each.opened <= window + rest]
    return within[-1] if within else after[0] if after else None
