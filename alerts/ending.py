"""The service that warns before a suppression ends: what it hid is told again from then on."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

from alerts.policy import AlertSettings
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
    """Once an hour looks which suppressions end within three days, by their date or for being idle.

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
            self._warn(each, last[each.name], now)

    def _warn(self, each: Suppression, hid_last: float | None, now: datetime) -> None:
        end = ends_at(each, hid_last)
        known = f"suppression/{each.name}/{each.until}"
        if not self._ledger.queue_position(known):
            self._ledger.commit_step(CONSUMER, {}, [_warning(each, end, now)])
            self._ledger.advance(known, 1)


def _warning(each: Suppression, end: datetime, now: datetime) -> Anomaly:
    why = "its time is over" if end.date() >= each.until else f"it hid nothing for {each.idle}"
    sentence = f"suppression {each.name} of {each.owner} ends {end:%Y-%m-%d %H:%M} UTC: {why} ({each.reason})"
    reason = Reason(
        code="suppression-ends",
        sentence=sentence,
        detector="configuration",
        type=AnomalyType.CONFIGURATION,
        entity_kind="rules",
        contribution=100.0,
    )
    return Anomaly(
        anomaly_id=configuration_anomaly_id(f"suppression {each.name} {each.until}"),
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
