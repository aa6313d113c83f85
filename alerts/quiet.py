"""Groups that were there before a silence: while it is about all of a group, nobody is reminded of it.

Pure.  What ends something (acknowledged, resolved, withdrawn) is told all the same; the rest waits for the
silence's end, so nothing is lost.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from alerts.groups import Group, Kind, anomaly_of
from alerts.matching import Match
from alerts.silences import Silence, hiding, state
from txwatch.masking import PERSONAL, Pseudonym

WAITING: frozenset[Kind] = frozenset({"first", "news", "amended", "worse", "repeat", "escalated"})
"""What is not told while a silence is about the group."""


def quieting(
    group: Group, silences: tuple[Silence, ...], now: float, pseudonym: Pseudonym | None
) -> Silence | None:
    """Return the silence that is about all of a group now, of several the one that ends first."""
    at = datetime.fromtimestamp(now, UTC)
    active = [silence for silence in silences if state(silence, at) == "active"]
    found = [silence for silence in active if _is_about(silence, group, at, pseudonym)]
    return min(found, key=lambda silence: silence.until, default=None)


def _is_about(silence: Silence, group: Group, at: datetime, pseudonym: Pseudonym | None) -> bool:
    """Tell whether it is about every anomaly: all are at hand, or what they have in common says so."""
    if group.members <= len(group.samples):
        found = (hiding(anomaly_of(sample), (silence,), at, pseudonym) for sample in group.samples)
        return all(each is not None for each in found)
    common = dict(_common(group, pseudonym))
    return all(common.get(name, set()) & set(wanted) for name, wanted in _conditions(silence.match))


def _conditions(match: Match) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every condition of a match; one that is no list of words is met by nothing."""
    for name, default in msgspec.structs.asdict(Match()).items():
        wanted = getattr(match, name)
        if wanted != default:
            yield name, wanted if isinstance(wanted, tuple) else ()


def _common(group: Group, pseudonym: Pseudonym | None) -> Iterator[tuple[str, set[str]]]:
    """Yield what all anomalies of a group have, by the name of the condition, in every form that is meant."""
    for label, value in group.labels:
        if label != "entity":
            yield label, _forms(label, value, pseudonym)
            continue
        kind, _, raw = value.partition(":")
        yield "entity_kind", {kind}
        for name in ("entity", kind):
            yield name, _forms(kind, raw, pseudonym)


def _forms(kind: str, raw: str, pseudonym: Pseudonym | None) -> set[str]:
    field = kind if kind == "ip" else f"{kind}_id"
    if pseudonym is None or not raw or field not in PERSONAL:
        return {raw}
    return {raw, pseudonym(field, raw)}
