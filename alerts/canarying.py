"""The service behind `txwatch canary`: sends canaries, and sees whether their alerts were sent.

Guarantee: none of its own.  A canary that was sent and not waited for, because this process ended, counts
nowhere; one whose alert does not come in time counts as missing, and says so until one arrives again.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec

from alerts.posting import post
from alerts.sending import Failed
from txwatch.canary import Canaries
from txwatch.errors import StoreBusyError
from txwatch.ledger import Ledger
from txwatch.model import Anomaly, Mode
from txwatch.ports import Clock, Health, Progress

BATCH = 500
LOOK = timedelta(seconds=0.2)


Send = Callable[[str, Mapping[str, object]], None]
"""Sends a message, by its key and fields, to the source; raises StoreBusyError while that takes none."""


class CanarySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often, and how long an alert may take."""

    every: timedelta = timedelta(minutes=5)
    patience: timedelta = timedelta(seconds=60)
    currency: str = "EUR"
    heartbeat: str = ""
    """An address that is asked (POST) whenever an alert arrived: who watches it hears of silence."""


class CanaryService:
    """Sends one canary at a time.

    1. Send it to the source.
    2. Look for its anomaly in the queue of discoveries, then for its notification among those sent.
    3. The time from 1 to the channel's answer is the time to alert; ask the heartbeat address.
    """

    name = "canary"

    def __init__(
        self,
        send: Send,
        canaries: Canaries,
        ledger: Ledger,
        clock: Clock,
        settings: CanarySettings,
    ) -> None:
        self._send, self._canaries, self._ledger, self._clock = send, canaries, ledger, clock
        self._settings = settings
        self._due = self._looked_at = clock.now()
        self._arrived_at = self._due
        self._flying: _Flying | None = None
        self._figures = dict.fromkeys(("sent_total", "arrived_total", "missing_total"), 0.0)
        self._seconds: float | None = None
        self._missing = self._trouble = ""

    def step(self) -> Progress:
        """Send, look, or wait."""
        now = self._clock.now()
        if self._flying is None:
            if now < self._due:
                return Progress(handled=0, finished=False)
            self._start(now)
            return Progress(handled=1, finished=False)
        if now - self._looked_at >= LOOK:
            self._looked_at = now
            self._look(self._flying, now)
        return Progress(handled=0, finished=False, waiting=self._flying is not None)

    def health(self) -> Health:
        """Return how long the last alert took, and how long ago it was."""
        ago = (self._clock.now() - self._arrived_at).total_seconds()
        took = {} if self._seconds is None else {"time_to_alert_seconds": self._seconds}
        last = "no alert yet" if self._seconds is None else f"the last alert took {self._seconds:.2f} s"
        return Health(
            name=self.name,
            state="degraded" if self._missing or self._trouble else "ok",
            sentence="; ".join(filter(None, [last, self._missing, self._trouble])),
            figures={**self._figures, **took, "silent_seconds": ago, "missing": float(bool(self._missing))},
        )

    def close(self) -> None:
        """Nothing is held back, so nothing is to be finished."""

    def _start(self, now: datetime) -> None:
        try:
            self._flying = self._sent(now)
        except StoreBusyError as error:
            self._count_missing(f"the canary of {now:%H:%M:%S} UTC could not be sent: {error}")
            self._due = now + self._settings.every

    def _sent(self, now: datetime) -> "_Flying":
        fields = self._canaries.transaction(now, self._settings.currency)
        position = self._ledger.newest_discovery()
        self._send(str(fields["user_id"]), fields)
        self._figures["sent_total"] += 1
        return _Flying(name=str(fields["transaction_id"]), sent_at=now, position=position)

    def _look(self, flying: "_Flying", now: datetime) -> None:
        try:
            told_at = self._told_at(flying)
        except StoreBusyError:
            told_at = None
        if told_at is not None:
            self._arrived(flying, told_at, now)
        elif now - flying.sent_at >= self._settings.patience:
            self._missed(flying, now)

    def _told_at(self, flying: "_Flying") -> float | None:
        """Return when its alert was sent, None before that; raises StoreBusyError."""
        entries = self._ledger.discovered(flying.position, BATCH)
        for entry in entries:
            anomaly = msgspec.json.decode(entry.document, type=Anomaly)
            if anomaly.mode is Mode.CANARY and anomaly.transaction_id == flying.name:
                flying.anomaly_id = anomaly.anomaly_id
        if entries:
            flying.position = entries[-1].number
        return self._ledger.alerts().told_at(flying.anomaly_id) if flying.anomaly_id else None

    def _arrived(self, flying: "_Flying", told_at: float, now: datetime) -> None:
        self._seconds, self._missing = told_at - flying.sent_at.timestamp(), ""
        self._figures["arrived_total"] += 1
        self._arrived_at = now
        self._next(flying)
        if self._settings.heartbeat:
            answer = post(self._settings.heartbeat, b"", {})
            self._trouble = f"the heartbeat failed: {answer.sentence}" if isinstance(answer, Failed) else ""

    def _missed(self, flying: "_Flying", now: datetime) -> None:
        where = "found, but not told" if flying.anomaly_id else "not found"
        waited = (now - flying.sent_at).total_seconds()
        self._count_missing(f"the canary of {flying.sent_at:%H:%M:%S} UTC was {where} within {waited:.0f} s")
        self._next(flying)

    def _count_missing(self, sentence: str) -> None:
        self._missing = sentence
        self._figures["missing_total"] += 1

    def _next(self, flying: "_Flying") -> None:
        self._flying, self._due = None, flying.sent_at + self._settings.every


class _Flying(msgspec.Struct, kw_only=True):
    """A canary on its way."""

    name: str
    sent_at: datetime
    position: int
    anomaly_id: str = ""
