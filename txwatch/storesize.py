"""The service that says how large the store has become."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from txwatch.errors import StoreError
from txwatch.ports import Clock, Figure, Health, Progress

EVERY_SECONDS = 60.0


@runtime_checkable
class SizedStore(Protocol):
    """A store that knows its size."""

    def sizes(self) -> Mapping[str, int]:
        """Return the bytes on disk of each of its parts; raises StoreError."""


class StoreSizeService:
    """Asks the store for its size every minute; a store that does not answer keeps its last one."""

    name = "store"

    def __init__(self, store: SizedStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._asked_at = clock.now()
        self._sizes: Mapping[str, int] = {}
        self._asked = False

    def step(self) -> Progress:
        """Ask, if it is time."""
        now = self._clock.now()
        if not self._asked or (now - self._asked_at).total_seconds() >= EVERY_SECONDS:
            self._asked, self._asked_at = True, now
            try:
                self._sizes = self._store.sizes()
            except StoreError:
                return Progress(handled=0, finished=True)
        return Progress(handled=0, finished=True)

    def health(self) -> Health:
        """Return the whole size, and that of each part."""
        whole = sum(self._sizes.values())
        return Health(
            name=self.name,
            state="ok",
            sentence=f"{whole / 1e6:,.0f} MB on disk",
            figures={"whole_bytes": float(whole)} if self._sizes else {},
            labelled=tuple(
                Figure(name="size_bytes", value=float(size), labels={"part": part})
                for part, size in sorted(self._sizes.items())
            ),
        )

    def close(self) -> None:
        """Nothing to give back."""
