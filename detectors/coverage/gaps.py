"""Windows of each detector as stretches of one state: pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from txwatch.coverage import (
    BROKEN,
    FEED,
    GAPS,
    SERIES,
    SHADOW,
    WINDOW,
    Counted,
    State,
    Tally,
    Window,
    missed,
    state_of,
)

FINE = (State.EVALUATED, State.REVISED, State.FILLED)
"""States in which nothing is amiss."""
EMPTY: Window = {}
Run = tuple[datetime, datetime, State]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One window of one detector."""

    start: datetime
    detector: str
    state: State
    stored: int
    """Transactions of that window that are stored."""
    tally: Tally


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Windows that follow each other, in one state, for these detectors."""

    since: datetime
    until: datetime
    state: State
    detectors: tuple[str, ...]
    everybody: bool
    """Whether that is every detector."""
    stored: int
    missed: int


def seen(
    windows: Counted, stored: Mapping[datetime, int], since: datetime, until: datetime
) -> Iterator[Seen]:
    """Yield every window that starts in [since, until), for every detector that was at work in any."""
    newest = _newest(windows)
    always = sorted({name for window in windows.values() for name in window if _is_lasting(name)} - {FEED})
    start = since
    while start < until:
        window = windows.get(start, EMPTY)
        for name in [*always, *sorted(name for name in window if name.startswith(BROKEN))]:
            reached = newest.get(SERIES if name == SERIES else FEED)
            count = stored.get(start, 0)
            state = state_of(name, window, count, reached=reached is not None and start <= reached)
            tally = window.get(name, Tally())
            yield Seen(start=start, detector=name, state=state, stored=count, tally=tally)
        start += WINDOW


def stretches(found: Iterable[Seen], windows: Counted) -> list[Stretch]:
    """Return the windows in which something is amiss as stretches, the earliest first.

    That a detector has nothing to look at in what there is (no places, say) is nothing amiss.
    """
    kept = list(found)
    everybody = {each.detector for each in kept if _is_lasting(each.detector)}
    stored = {each.start: each.stored for each in kept}
    together: dict[tuple[datetime, datetime, State], list[str]] = {}
    for name in {each.detector: None for each in kept}:
        for run in _runs(each for each in kept if each.detector == name):
            together.setdefault(run, []).append(name)
    for run in _empty(stored):
        together[run] = sorted(everybody)
    return [
        Stretch(
            since=first,
            until=end,
            state=state,
            detectors=tuple(names),
            everybody=everybody <= {*names, SERIES} and len(names) > 1,
            stored=sum(count for start, count in stored.items() if first <= start < end),
            missed=sum(
                missed(windows.get(start, EMPTY), count)
                for start, count in stored.items()
                if first <= start < end
            ),
        )
        for (first, end, state), names in sorted(together.items(), key=lambda item: item[0])
    ]


def fillable(found: Iterable[Stretch]) -> list[Stretch]:
    """Return those that can be evaluated afterwards."""
    return [each for each in found if each.state in GAPS]


def totals(found: Iterable[Seen]) -> dict[str, dict[str, Any]]:
    """Return for each detector how many windows are in which state."""
    counts: dict[str, dict[str, Any]] = {}
    for each in found:
        states = counts.setdefault(each.detector, {})
        states[each.state.value] = states.get(each.state.value, 0) + 1
    return counts


def _runs(found: Iterable[Seen]) -> Iterator[Run]:
    """Yield stretches of one detector in which something is amiss; what has no data interrupts none."""
    run: Run | None = None
    for each in found:
        if each.state is State.NO_DATA:
            continue
        if run is not None and each.state is run[2]:
            run = run[0], each.start + WINDOW, each.state
            continue
        if run is not None:
            yield run
        run = None if each.state in FINE else (each.start, each.start + WINDOW, each.state)
    if run is not None:
        yield run


def _empty(stored: Mapping[datetime, int]) -> Iterator[Run]:
    """Yield stretches of which nothing is stored."""
    first: datetime | None = None
    for start, count in sorted(stored.items()):
        if count == 0:
            first = first or start
        elif first is not None:
            yield first, start, State.NO_DATA
            first = None
    if first is not None:
        yield first, max(stored) + WINDOW, State.NO_DATA


def _newest(windows: Counted) -> dict[str, datetime]:
    """Return the newest window to which transactions, and series, have come."""
    found: dict[str, datetime] = {}
    for start, window in sorted(windows.items()):
        found |= dict.fromkeys(window, start)
    return found


def _is_lasting(name: str) -> bool:
    """Tell whether it is at work in every window: a rule has a tally only where it fails, or is in shadow."""
    return not name.startswith((BROKEN, SHADOW))
