"""The service that puts what people did about anomalies beside them: acknowledged, assigned, said."""

import json
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from txwatch.copies import Copy, CopyStore
from txwatch.errors import StoreBusyError
from txwatch.ledger import AlertBook
from txwatch.ports import AuditRecord, Clock, Health, Progress

READER: Final = "handling"
"""Under this name the ledger keeps how far its audit was looked through."""
EVERY: Final = timedelta(seconds=2)
AT_ONCE: Final = 200


class AuditedLedger(Protocol):
    """The part of the ledger that this service needs."""

    def audited(self, after: int, limit: int) -> Sequence[AuditRecord]:
        """Return records of the audit beyond a number, in order."""

    def alerts(self) -> AlertBook:
        """Return the part that knows which anomalies are in which group."""

    def queue_position(self, name: str) -> int:
        """Return how far a reader has come."""

    def advance(self, name: str, number: int) -> None:
        """Record how far a reader has come."""


class HandlingService:
    """Looks through the audit for what concerns anomalies, and copies it for their pages.

    1. Read the next records of the audit.
    2. Write a copy for each anomaly that is meant: of a group that was acknowledged, all that are in it.
    3. Only then record the number: a crash before 3 writes the same copies again.
    """

    name = READER

    def __init__(self, store: CopyStore, ledger: AuditedLedger, clock: Clock) -> None:
        self._store, self._ledger, self._clock = store, ledger, clock
        self._due = clock.now()
        self._position = ledger.queue_position(READER)
        self._copied = 0

    def step(self) -> Progress:
        """Look through the next records, if it is time; while ledger or store are busy there are none."""
        now = self._clock.now()
        if now < self._due:
            return Progress(handled=0, finished=True)
        try:
            handled = self._copy()
        except StoreBusyError:
            handled = 0
        if handled < AT_ONCE:
            self._due = now + EVERY
        return Progress(handled=handled, finished=True)

    def health(self) -> Health:
        """Return how much was copied since the start."""
        said = f"{self._copied:,} acts of people copied beside anomalies"
        return Health(
            name=self.name, state="ok", sentence=said, figures={"copies_total": float(self._copied)}
        )

    def close(self) -> None:
        """Nothing is held: what was not copied is at the next start."""

    def _copy(self) -> int:
        records = self._ledger.audited(self._position, AT_ONCE)
        if records:
            copies = [each for record in records for each in self._copies(record)]
            self._store.put_copies(copies)
            self._position = records[-1].number
            self._ledger.advance(READER, self._position)
            self._copied += len(copies)
        return len(records)

    def _copies(self, record: AuditRecord) -> Iterator[Copy]:
        facts = json.loads(record.facts)
        if record.action == "acknowledge":
            for each in self._ledger.alerts().decisions(facts["group_id"]):
                if each.verdict == "grouped" and each.anomaly_id:
                    yield _copy_of(record, each.anomaly_id, "acknowledged its group", "")
        elif record.action in _SAID:
            yield _copy_of(record, facts["anomaly"], _SAID[record.action](facts), facts.get("text", ""))


def _copy_of(record: AuditRecord, anomaly_id: str, did: str, text: str) -> Copy:
    return Copy(
        kind="handling",
        at=datetime.fromtimestamp(record.at, UTC),
        number=zlib.crc32(f"{anomaly_id}\0{record.number}".encode()),
        values={"anomaly_id": anomaly_id, "actor": record.actor, "did": did, "text": text},
    )


def _labelled(facts: dict[str, Any]) -> str:
    return f"said {facts['label']}"


def _assigned(facts: dict[str, Any]) -> str:
    return f"assigned it to {facts['text']}"


def _commented(_: dict[str, Any]) -> str:
    return "commented"


_SAID = {"anomaly labelled": _labelled, "anomaly assigned": _assigned, "anomaly commented": _commented}
