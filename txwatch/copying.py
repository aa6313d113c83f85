"""The service that keeps copies of the ledger's records where dashboards read them."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from txwatch.copies import Copy, CopyStore
from txwatch.errors import StoreBusyError
from txwatch.ports import Clock, Health, Progress

Source = Callable[[], Iterable[Copy]]
"""Returns all records of one kind as they are now, or none where nothing changed since it was asked last."""


class CopyService:
    """Asks its sources regularly, and writes what is another than what it wrote before.

    1. Ask every source; a record is known by its kind, labels, time and number.
    2. Write those that are new or differ; what was written is remembered only then.

    Happens twice: after a start every record is written again, as the same point.  Lost: nothing; while the
    ledger or the store is busy it is tried again at the next time.
    """

    def __init__(
        self, name: str, store: CopyStore, sources: Sequence[Source], clock: Clock, every: timedelta
    ) -> None:
        self.name = name
        self._store, self._sources, self._clock, self._every = store, sources, clock, every
        self._due = clock.now()
        self._written: dict[tuple[object, ...], Copy] = {}
        self._total, self._away = 0, ""

    def step(self) -> Progress:
        """Copy, if it is time."""
        now = self._clock.now()
        if now < self._due:
            return Progress(handled=0, finished=True)
        self._due = now + self._every
        try:
            handled = self._copy(now)
        except StoreBusyError as error:
            self._away = str(error)
            return Progress(handled=0, finished=True)
        self._away = ""
        return Progress(handled=handled, finished=True)

    def health(self) -> Health:
        """Return how many records were written since the start."""
        said = f"{self._total:,} copies written"
        return Health(
            name=self.name,
            state="degraded" if self._away else "ok",
            sentence=f"dashboards show older records meanwhile: {self._away}" if self._away else said,
            figures={"copies_total": float(self._total)},
        )

    def close(self) -> None:
        """Copy once more, so that the end of a run is seen."""
        self._due = self._clock.now()
        self.step()

    def _copy(self, now: datetime) -> int:
        found = {_identity(each): each for source in self._sources for each in source() if each.at <= now}
        changed = {key: each for key, each in found.items() if self._written.get(key) != each}
        self._store.put_copies(list(changed.values()))
        self._written |= changed
        self._total += len(changed)
        return len(changed)


def _identity(copied: Copy) -> tuple[object, ...]:
    return copied.kind, copied.at, copied.number, *sorted(copied.labels.items())
