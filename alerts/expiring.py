"""The service that lets go of groups, decisions and sent notifications after their time."""

from contextlib import suppress
from datetime import timedelta

from txwatch.errors import StoreBusyError
from txwatch.ledger import AlertBook
from txwatch.ports import Clock, Health, Progress

EVERY = timedelta(hours=1)


class ExpiringService:
    """Once an hour deletes what ended longer ago than `kept`; open groups lose nothing."""

    name = "alert_records"

    def __init__(self, book: AlertBook, clock: Clock, kept: timedelta) -> None:
        self._book, self._clock, self._kept = book, clock, kept
        self._due, self._gone = clock.now(), 0

    def step(self) -> Progress:
        """Delete, if it is time."""
        now = self._clock.now()
        if now >= self._due:
            with suppress(StoreBusyError):
                self._gone += self._book.forget((now - self._kept).timestamp())
                self._due = now + EVERY
        return Progress(handled=0, finished=True)

    def health(self) -> Health:
        """Return what went since the start."""
        return Health(
            name=self.name,
            state="ok",
            sentence=f"{self._gone:,} old records deleted",
            figures={"expired_total": float(self._gone)},
        )

    def close(self) -> None:
        """Nothing is held back, so nothing is to be finished."""
