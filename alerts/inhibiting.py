"""Inhibition: while a whole merchant is told to be strange, its single transactions say nothing new.

An anomaly that a source inhibits is not told; it stays in the store, and its decision names the source.
"""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from alerts.matching import Match, mismatch
from txwatch.model import Anomaly


class Inhibition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """While a group with a source is open, its targets that are equal to it in these fields are not told."""

    name: str
    source: Match
    target: Match
    equal: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what would inhibit everything, and fields that nothing is equal in."""
        if not self.equal or set(self.equal) - set(_FIELDS):
            raise ValueError(f"`equal` names at least one of {', '.join(_FIELDS)}")


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What a source and its targets have in common: the inhibition's name, and the values they share."""

    name: str
    values: tuple[str, ...]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An anomaly that inhibits others, by its mark."""

    mark: Mark
    anomaly_id: str


def sources_of(anomaly: Anomaly, inhibitions: Iterable[Inhibition]) -> tuple[Source, ...]:
    """Return what an anomaly inhibits."""
    return tuple(
        Source(mark=mark, anomaly_id=anomaly.anomaly_id)
        for each in inhibitions
        if (mark := _mark(each, anomaly)) is not None and not mismatch(each.source, anomaly)
    )


def targets_of(anomaly: Anomaly, inhibitions: Iterable[Inhibition]) -> tuple[Mark, ...]:
    """Return by what an anomaly would be inhibited; what is a source itself is not."""
    return tuple(
        mark
        for each in inhibitions
        if (mark := _mark(each, anomaly)) is not None
        and not mismatch(each.target, anomaly)
        and mismatch(each.source, anomaly)
    )


class Inhibiting:
    """The sources in open groups; a group is named by its id."""

    def __init__(self) -> None:
        self._sources: dict[Mark, dict[str, str]] = defaultdict(dict)

    def hold(self, group_id: str, sources: Iterable[Source], *, is_open: bool) -> None:
        """Note the sources of a group, or that it is over."""
        for source in sources:
            if is_open:
                self._sources[source.mark][group_id] = source.anomaly_id
            else:
                self._sources[source.mark].pop(group_id, None)

    def why(self, targets: Iterable[Mark]) -> str:
        """Return by what a target is inhibited, in words; empty if by nothing."""
        for mark in targets:
            for group_id, anomaly_id in self._sources.get(mark, {}).items():
                return f"inhibited by {mark.name}: anomaly {anomaly_id} in group {group_id} tells of it"
        return ""


_FIELDS = ("merchant", "user", "channel", "country")


def _mark(inhibition: Inhibition, anomaly: Anomaly) -> Mark | None:
    values = tuple(_value(anomaly, name) for name in inhibition.equal)
    return Mark(name=inhibition.name, values=values) if all(values) else None


def _value(anomaly: Anomaly, name: str) -> str:
    if anomaly.entity_kind == name:
        return anomaly.entity_id
    return getattr(anomaly, f"{name}_id" if name in {"merchant", "user"} else name) or ""
