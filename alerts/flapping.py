"""Flapping: what is over and comes back, again and again, stays open twice as long each time.

Pure.  So a door that opens and shuts all day is told of a few times, not at each turn: while its group is
open, more of the same changes its message and opens nothing new.  Times are seconds since 1970 (UTC).
"""

import hashlib
from collections.abc import Mapping

import msgspec

from alerts.matching import duration
from alerts.routes import Way

MOST_DOUBLED = 4
"""At most sixteen times as long."""
REMEMBERED = 500
"""So many of those that ended last are remembered on each route."""

Labels = tuple[tuple[str, str], ...]


class Ended(msgspec.Struct, frozen=True, array_like=True):
    """When groups of these labels were over last, and how often they had come back by then."""

    at: float
    back: int


def resolve_after(way: Way, back: int) -> float:
    """Return after how long without news a group is over that has come back so often."""
    return way.resolve_after * 2.0 ** min(back, MOST_DOUBLED)


def back_again(ended: Mapping[str, Ended], labels: Labels, way: Way, now: float) -> int:
    """Return how often what opens a group now has come back; 0 if it has been over for long enough."""
    last = ended.get(_key(labels))
    if last is None or now - last.at > resolve_after(way, last.back):
        return 0
    return last.back + 1


def with_end(ended: Mapping[str, Ended], labels: Labels, back: int, now: float) -> dict[str, Ended]:
    """Return what is remembered when a group is over."""
    key = _key(labels)
    kept = {name: each for name, each in ended.items() if name != key}
    while len(kept) >= REMEMBERED:
        del kept[next(iter(kept))]
    return kept | {key: Ended(at=now, back=back)}


def said(back: int, way: Way) -> str:
    """Return what is to be said of it; nothing where it is the first time."""
    if not back:
        return ""
    longer = f"it stays open for {duration(resolve_after(way, back))} without news now"
    return f"; back, time {back}, soon after it was over: {longer}"


def _key(labels: Labels) -> str:
    text = "\0".join(f"{key}={value}" for key, value in labels)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
