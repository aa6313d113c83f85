"""Silences: nobody is told of certain anomalies from one time until another.

Whether one is pending, active or over is a function of its times and now; nothing of that is stored.
"""

import uuid
from datetime import datetime

import msgspec

from alerts.matching import Match, mismatch
from txwatch.masking import Pseudonym, pseudonymous
from txwatch.model import Anomaly


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Active in [since, until), both aware, so that clocks that are put back change nothing."""

    silence_id: str
    match: Match
    since: datetime
    until: datetime
    comment: str
    author: str

    def __post_init__(self) -> None:
        """Refuse naive times."""
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise ValueError("a silence has aware times")


def new_silence_id() -> str:
    """Return an id that nobody has yet."""
    return uuid.uuid4().hex[:12]


def state(silence: Silence, now: datetime) -> str:
    """Return pending, active or over."""
    if now < silence.since:
        return "pending"
    return "active" if now < silence.until else "over"


def hiding(
    anomaly: Anomaly, silences: tuple[Silence, ...], now: datetime, pseudonym: Pseudonym | None = None
) -> Silence | None:
    """Return the first silence that hides an anomaly now.

    Persons are meant by their id or, as those say who only read messages, by their pseudonym.
    """
    active = [silence for silence in silences if state(silence, now) == "active"]
    if not active:
        return None
    faces = [anomaly] if pseudonym is None else [anomaly, pseudonymous(anomaly, pseudonym)]
    for silence in active:
        if not all(mismatch(silence.match, face) for face in faces):
            return silence
    return None
