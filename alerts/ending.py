"""The service that warns before a suppression or a silence ends, and of a silence that hides nothing."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from alerts.forgotten import noticed
from alerts.policy import AlertSettings
from alerts.silences import Silence
from alerts.silences import state as silence_state
from alerts.suppressions import SOON, Suppression, ends_at, state
from txwatch.errors import StoreBusyError
from txwatch.ledger import AlertBook
from txwatch.model import (
    Anomaly,
    AnomalyType,
    Cursor,
    Partition,
    Reason,
    Severity,
    configuration_anomaly_id,
)
from txwatch.ports import Clock, Health, Progress

CONSUMER = "suppressions"
EVERY = timedelta(hours=1)


class Queue(Protocol):
    """The part of the ledger that this service needs."""

    def alerts(self) -> AlertBook:
        """Return the part that knows what was hidden."""

    def queue_position(self, name: str) -> int:
        """Return whether a warning was given: 1."""

    def advance(self, name: str, number: int) -> None:
        """Record that a warning was given."""

    def commit_step(
        self, consumer: str, cursors: Mapping[Partition, Cursor], anomalies: Sequence[Anomaly]
    ) -> None:
        """Queue anomalies for the notifier."""


class EndingService:
    """Once an hour looks which suppressions and silences somebody should hear about.

    Suppressions that end within three days, by their date or for being idle; silences by `forgotten`.

    1. Queue an anomaly of type configuration, as a warning to whoever is told of those.
    2. Record that this end was warned of; a crash between the two warns twice.
    """

    name = CONSUMER

    def __init__(self, ledger: Queue, settings: Callable[[], AlertSettings], clock: Clock) -> None:
        """`settings` says what the policy is by then."""
        self._ledger, self._settings, self._clock = ledger, settings, clock
        self._due, self._ending, self._active = clock.now(), 0, 0

    def step(self) -> Progress:
        """Look, if it is time."""
        now = self._clock.now()
        if now >= self._due:
            with suppress(StoreBusyError):
                self._look(now)
                self._due = now + EVERY
        return Progress(handled=0, finished=True)

    def health(self) -> Health:
        """Return how many hide something, and how many of them end soon."""
        return Health(
            name=self.name,
            state="ok",
            sentence=f"{self._active} suppressions active, {self._ending} of them end within 3 days",
            figures={"active": float(self._active), "ending": float(self._ending)},
        )

    def close(self) -> None:
        """Nothing is held back, so nothing is to be finished."""

    def _look(self, now: datetime) -> None:
        book, listed = self._ledger.alerts(), self._settings().suppressions
        last = {each.name: book.suppressed(each.name)[1] for each in listed}
        active = [each for each in listed if state(each, now, last[each.name]) == "active"]
        ending = [each for each in active if ends_at(each, last[each.name]) - now <= SOON]
        self._active, self._ending = len(active), len(ending)
        for each in ending:
            subject = f"suppression {each.name} {each.until}"
            self._warn(subject, "suppression-ends", _ends(each, last[each.name]), now)
        for document in book.silences():
            self._look_at(msgspec.json.decode(document, type=Silence), book, now)

    def _look_at(self, silence: Silence, book: AlertBook, now: datetime) -> None:
        if silence_state(silence, now) == "active":
            what, sentence = noticed(silence, *book.silenced(silence.silence_id), now)
            if what:
                subject = f"silence {silence.silence_id} {what} {silence.until:%Y-%m-%d %H:%M}"
                self._warn(subject, f"silence-{what}", sentence, now)

    def _warn(self, subject: str, code: str, sentence: str, now: datetime) -> None:
        """Warn of a subject unless it was warned of; the end of it is part of a subject."""
        known = subject.replace(" ", "/", 2)
        if not self._ledger.queue_position(known):
            self._ledger.commit_step(CONSUMER, {}, [_warning(subject, code, sentence, now)])
            self._ledger.advance(known, 1)


def _ends(each: Suppression, hid_last: float | None) -> str:
    end = ends_at(each, hid_last)
    why = "its time is over" if end.date() >= each.until else f"it hid nothing for {each.idle}"
    return f"suppression {each.name} of {each.owner} ends {end:%Y-%m-%d %H:%M} UTC: {why} ({each.reason})"


def _warning(subject: str, code: str, sentence: str, now: datetime) -> Anomaly:
    reason = Reason(
        code=code,
        sentence=sentence,
        detector="configuration",
        type=AnomalyType.CONFIGURATION,
        entity_kind="rules",
        contribution=100.0,
    )
    return Anomaly(
        anomaly_id=configuration_anomaly_id(subject),
        kind="configuration",
        type=AnomalyType.CONFIGURATION,
        timestamp=now,
        detected_at=now,
        severity=Severity.HIGH,
        score=100.0,
        reasons=(reason,),
        entity_kind="rules",
        entity_id="rules.yaml",
    )
