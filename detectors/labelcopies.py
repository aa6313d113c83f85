"""The service that puts what people say of anomalies where dashboards count it, by rule and by detector."""

import zlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final, Protocol

from txwatch.copies import Copy, CopyStore
from txwatch.errors import StoreBusyError
from txwatch.model import Anomaly, LabelChange, Mode
from txwatch.ports import AnomalyQuery, Clock, Health, Progress

READER: Final = "label copies"
"""Under this name the ledger keeps how far labels are copied."""
EVERY: Final = timedelta(seconds=2)
AT_ONCE: Final = 10


class LabelLedger(Protocol):
    """The part of the ledger that this service needs."""

    def label_changes(self, after: int, limit: int) -> list[LabelChange]:
        """Return labels beyond a number, in order."""

    def queue_position(self, name: str) -> int:
        """Return how far a reader has come."""

    def advance(self, name: str, number: int) -> None:
        """Record how far a reader has come."""


class AnomaliesAndCopies(CopyStore, Protocol):
    """The part of the store that this service needs."""

    def anomalies(self, query: AnomalyQuery) -> Sequence[Anomaly]:
        """Return matching anomalies."""


class LabelCopies:
    """Copies labels, at the time of their anomaly, for each rule and detector that they speak about.

    1. Read the next labels from the ledger, and their anomalies from the store.
    2. Write a copy for each rule that hit, and for the detector of the largest reason; a later label of the
       same anomaly replaces them.
    3. Only then record the number: a crash before 3 writes the same copies again.
    """

    name = "label_copies"

    def __init__(self, store: AnomaliesAndCopies, ledger: LabelLedger, clock: Clock) -> None:
        self._store, self._ledger, self._clock = store, ledger, clock
        self._due = clock.now()
        self._position = ledger.queue_position(READER)
        self._labels = self._unknown = 0

    def step(self) -> Progress:
        """Copy the next labels, if it is time; while the ledger or the store is busy there are none."""
        now = self._clock.now()
        if now < self._due:
            return Progress(handled=0, finished=True)
        try:
            changes = self._ledger.label_changes(self._position, AT_ONCE)
            if changes:
                self._copy(changes)
        except StoreBusyError:
            changes = []
        if len(changes) < AT_ONCE:
            self._due = now + EVERY
        return Progress(handled=len(changes), finished=True)

    def health(self) -> Health:
        """Return how many labels were copied since the start."""
        said = f"{self._labels:,} labels copied, {self._unknown:,} of anomalies that are gone"
        return Health(
            name=self.name, state="ok", sentence=said, figures={"copies_total": float(self._labels)}
        )

    def close(self) -> None:
        """Nothing is held: what was not copied is at the next start."""

    def _copy(self, changes: Sequence[LabelChange]) -> None:
        copies: list[Copy] = []
        for change in changes:
            found = self._store.anomalies(AnomalyQuery(anomaly_id=change.label.anomaly_id, limit=1))
            self._unknown += not found
            for anomaly in found:
                copies += _copies(anomaly, change)
        self._store.put_copies(copies)
        self._position = changes[-1].number
        self._ledger.advance(READER, self._position)
        self._labels += len(changes)


def _copies(anomaly: Anomaly, change: LabelChange) -> Iterator[Copy]:
    if anomaly.mode is not Mode.LIVE:
        return
    detector = anomaly.reasons[0].detector if anomaly.reasons else "rules"
    about = [("rule", rule) for rule in anomaly.rules]
    about += [("detector", detector)] if detector != "rules" else []
    for kind, name in (*about, ("all", "all")):
        yield Copy(
            kind="labels",
            at=anomaly.timestamp,
            number=zlib.crc32(anomaly.anomaly_id.encode()),
            labels={"kind": kind, "name": name},
            values={"verdict": change.label.verdict.value, "severity": anomaly.severity.word},
        )
