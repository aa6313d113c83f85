"""Suppressions: what is known and shall not be told, with an owner, a reason and an end.

They stand in one list in the rules file: known noise of a rule or detector, allow-lists, maintenance windows.
What they hide is found, stored and shown as ever; nobody is told of it.  Whether one is pending, active,
idle or over is a function of times; nothing of that is stored.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal

import msgspec

from alerts.matching import Duration, Match, mismatch, seconds
from txwatch.masking import Pseudonym, pseudonymous
from txwatch.model import Anomaly, Severity

LONGEST = timedelta(days=366)
SOON = timedelta(days=3)
"""So long before its end a suppression is warned of."""

Name = Annotated[
    str, msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,62}$", description="a name of small letters, digits and -")
]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
State = Literal["pending", "active", "idle", "over"]


class Suppression(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of `suppressions` in rules.yaml, from the beginning of `since` to that of `until`, in UTC."""

    name: Name
    match: Match
    """All conditions must hold.  With `rule` or `detector`, nothing else may speak for the anomaly."""
    owner: Words
    reason: Words
    since: date
    until: date
    idle: Duration = "30d"
    """It is over, too, when it hid nothing for so long."""

    def __post_init__(self) -> None:
        """Refuse one that hides everything, never begins, or lasts longer than a year."""
        if self.match == Match():
            raise ValueError("a suppression needs a condition under `match`: this one would hide everything")
        if not timedelta(0) < self.until - self.since <= LONGEST:
            raise ValueError("a suppression ends after it begins, within a year: renew it then")


def state(suppression: Suppression, now: datetime, hid_last: float | None) -> State:
    """Return what it is at a time; `hid_last` in seconds since 1970, None while it hid nothing."""
    if now < _start(suppression.since):
        return "pending"
    if now >= _start(suppression.until):
        return "over"
    return "idle" if now >= idle_at(suppression, hid_last) else "active"


def idle_at(suppression: Suppression, hid_last: float | None) -> datetime:
    """Return when it is over for having hidden nothing."""
    start = _start(suppression.since)
    last = start if hid_last is None else max(start, datetime.fromtimestamp(hid_last, UTC))
    return last + timedelta(seconds=seconds(suppression.idle))


def ends_at(suppression: Suppression, hid_last: float | None) -> datetime:
    """Return when it is over, one way or the other, if it hides nothing more."""
    return min(_start(suppression.until), idle_at(suppression, hid_last))


def suppressing(
    anomaly: Anomaly,
    suppressions: Sequence[Suppression],
    now: datetime,
    hid_last: Mapping[str, float] | None,
    pseudonym: Pseudonym | None = None,
) -> Suppression | None:
    """Return the first suppression that hides an anomaly now; without `hid_last` none of them is idle.

    Persons are meant by their id or by their pseudonym.
    """
    for each in suppressions:
        last = now.timestamp() if hid_last is None else hid_last.get(each.name)
        if state(each, now, last) == "active" and _is_meant(each.match, anomaly, pseudonym):
            return each
    return None


def _is_meant(match: Match, anomaly: Anomaly, pseudonym: Pseudonym | None) -> bool:
    faces = [anomaly] if pseudonym is None else [anomaly, pseudonymous(anomaly, pseudonym)]
    return any(not mismatch(match, face) for face in faces) and not _others_speak(match, anomaly)


def _others_speak(match: Match, anomaly: Anomaly) -> bool:
    """Tell whether something speaks for it that a match of rules or detectors does not name."""
    if match.rule:
        of_rules = [each.facts["severity"] for each in anomaly.reasons if each.detector == "rules"]
        floor = max(map(Severity.parse, of_rules), default=Severity.LOW)
        return not set(anomaly.rules) <= set(match.rule) or anomaly.severity > floor
    if match.detector:
        return not anomaly.reasons or anomaly.reasons[0].detector not in match.detector
    return False


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
