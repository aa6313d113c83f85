"""The part of the ledger that keeps fitted models."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from sqlalchemy.engine import Connection

from txwatch.ledger import audit, modelbook
from txwatch.ledger.modelbook import DETECTORS
from txwatch.registry import ModelChange, ModelOrder, RegisteredModel

Opened = Callable[[], AbstractContextManager[Connection]]


class ModelShelf:
    """Each method is one transaction."""

    def __init__(self, reading: Opened, writing: Opened, now: Callable[[], float]) -> None:
        self._reading, self._writing, self._now = reading, writing, now

    def changed(self, changes: Sequence[ModelChange], actor: str = DETECTORS) -> list[ModelChange]:
        """Keep what happened to models, and append it to the audit; what is known already stays.

        Returns what is new.
        """
        if not changes:
            return []
        with self._writing() as connection:
            new = modelbook.note(connection, self._now(), changes, actor)
            for change in new:
                facts = {"model": change.version, "detector": change.name, "why": change.sentence}
                audit.append(connection, self._now(), actor, f"model {change.event.value}", facts)
            return new

    def listed(self) -> list[RegisteredModel]:
        """Return every model that was ever known, the newest first."""
        with self._reading() as connection:
            return modelbook.listed(connection)

    def payload(self, number: int) -> bytes:
        """Return a kept model; raises SnapshotError where there is none, or it is damaged."""
        with self._reading() as connection:
            return modelbook.payload(connection, number)

    def order(self, given: ModelOrder) -> int:
        """Say which model is wanted, and append it to the audit; returns the order's number."""
        with self._writing() as connection:
            facts = {"model": given.model, "held": given.held, "reason": given.reason}
            audit.append(connection, self._now(), given.actor, "model ordered", facts)
            return modelbook.order(connection, self._now(), given)

    def orders(self, after: int) -> list[ModelOrder]:
        """Return orders beyond a number, the oldest first."""
        with self._reading() as connection:
            return modelbook.orders(connection, after)
