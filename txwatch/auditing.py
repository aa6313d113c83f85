"""The service that copies the ledger's audit to where administrators look at it."""

from collections.abc import Sequence
from typing import Protocol

from txwatch.errors import StoreBusyError
from txwatch.ports import AuditRecord, AuditStore, Health, Progress

CONSUMER = "audit"
BATCH = 500


class AuditLedger(Protocol):
    """The part of the ledger that this service needs."""

    def audited(self, after: int, limit: int) -> Sequence[AuditRecord]:
        """Return records of the audit beyond a number, in order."""

    def queue_position(self, name: str) -> int:
        """Return the number that `name` has handled last."""

    def advance(self, name: str, number: int) -> None:
        """Record durably that `name` has handled everything up to `number`."""


class AuditService:
    """Copies every record of the audit, in order.

    1. Read the next records from the ledger.
    2. Write them to the store; a record written again is the same point.
    3. Only then record the number.
    """

    name = CONSUMER

    def __init__(self, store: AuditStore, ledger: AuditLedger) -> None:
        self._store, self._ledger = store, ledger
        self._position = ledger.queue_position(CONSUMER)
        self._copied = 0

    def step(self) -> Progress:
        """Copy the next records; while the ledger or the store is busy there are none."""
        try:
            return self._copy()
        except StoreBusyError:
            return Progress(handled=0, finished=False)

    def health(self) -> Health:
        """Return how many were copied since the start."""
        sentence = f"{self._copied:,} records of the audit copied"
        return Health(
            name=self.name, state="ok", sentence=sentence, figures={"records_total": float(self._copied)}
        )

    def close(self) -> None:
        """Nothing is held back, so nothing is to be finished."""

    def _copy(self) -> Progress:
        records = self._ledger.audited(self._position, BATCH)
        if records:
            self._store.put_audit(records)
            self._position = records[-1].number
            self._ledger.advance(CONSUMER, self._position)
            self._copied += len(records)
        return Progress(handled=len(records), finished=True)
