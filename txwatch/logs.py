"""What long-running commands log: one event a line on standard error, as text or as JSON.

Events are few and the same for every service: `started`, `state` when a service's state changes, `counted`
every ten seconds in which something went wrong (quarantined, refused, retried, lost), `progress` every
minute, `ended`.  Each line has the service's own sentence.  No line holds an id, an amount or a secret.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from txwatch.ports import Clock, Health, Service

Format = Literal["text", "json"]

LOOKED_EVERY = timedelta(seconds=1)
COUNTED_EVERY = timedelta(seconds=10)
PROGRESS_EVERY = timedelta(minutes=1)
WRONG = re.compile(r"(quarantined_(?!total)\w+|refused_\w+|\w+_retries|\w+_errors|\w*late|\w*skipped)_total")
"""Figures whose growth is worth a line."""


def open_log(form: Format, stream: TextIO | None = None) -> FilteringBoundLogger:
    """Return what writes events to `stream`, standard error if none is given."""
    stream = stream or sys.stderr
    look: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if form == "text":
        look = structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False, pad_event_to=0)
    found: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        wrapper_class=structlog.make_filtering_bound_logger("INFO"),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            look,
        ],
    )
    return found


class HealthLog:
    """Logs what services say of themselves; call it every round, it looks at them once a second."""

    def __init__(self, services: Sequence[Service], log: FilteringBoundLogger, clock: Clock) -> None:
        self._services, self._log, self._clock = services, log, clock
        self._states: dict[str, str] = {}
        self._counts: dict[tuple[str, str], float] = {}
        self._looked_at = self._counted_at = self._told_at = clock.now()

    def started(self, **facts: str) -> None:
        """Log that the services start, with facts about them."""
        self._log.info("started", services=[each.name for each in self._services], **facts)

    def __call__(self) -> None:
        """Log what has changed, and what is due."""
        now = self._clock.now()
        if now - self._looked_at < LOOKED_EVERY:
            return
        counted = now - self._counted_at >= COUNTED_EVERY
        told = now - self._told_at >= PROGRESS_EVERY
        for health in (service.health() for service in self._services):
            self._changed(health)
            if counted:
                self._grown(health)
            if told:
                self._log.info("progress", service=health.name, sentence=health.sentence)
        self._looked_at = now
        self._counted_at = now if counted else self._counted_at
        self._told_at = now if told else self._told_at

    def failed(self, sentence: str) -> None:
        """Log why the process ends before its time."""
        self._log.error("failed", sentence=sentence)

    def ended(self) -> None:
        """Log what each service says at its end."""
        for health in (service.health() for service in self._services):
            self._changed(health)
            self._grown(health)
            self._log.info("ended", service=health.name, sentence=health.sentence)

    def _changed(self, health: Health) -> None:
        before = self._states.get(health.name, "ok")
        self._states[health.name] = health.state
        if before != health.state:
            write = {"ok": self._log.info, "degraded": self._log.warning}.get(health.state, self._log.error)
            write("state", service=health.name, state=health.state, was=before, sentence=health.sentence)

    def _grown(self, health: Health) -> None:
        grown = {}
        for name, value in health.figures.items():
            before = self._counts.get((health.name, name), 0.0)
            if value > before and WRONG.fullmatch(name):
                grown[name.removesuffix("_total")] = value - before
            self._counts[health.name, name] = value
        if grown:
            self._log.warning("counted", service=health.name, **_plain(grown))


def _plain(figures: Mapping[str, float]) -> dict[str, float | int]:
    """Return whole numbers as such: 3, not 3.0."""
    return {name: int(each) if each == int(each) else round(each, 3) for name, each in figures.items()}
