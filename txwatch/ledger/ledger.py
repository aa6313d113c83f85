"""`Ledger`: the one door to operational state; each method is one transaction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, Engine

from txwatch.coverage import Counted
from txwatch.ledger import acts, audit, coverage, labels, layout, notes, progress, queue, snapshots
from txwatch.ledger.acts import RecordedAct
from txwatch.ledger.alertbook import AlertBook
from txwatch.ledger.coverage import CoverageShelf
from txwatch.ledger.database import folder_beside, open_database, sentences
from txwatch.ledger.modelshelf import ModelShelf
from txwatch.ledger.postgres import READING
from txwatch.ledger.queue import Discovery
from txwatch.ledger.rulesshelf import RulesShelf
from txwatch.ledger.snapshots import Snapshot, Written
from txwatch.model import Anomaly, AnomalyLabel, AnomalyNote, Cursor, LabelChange, Partition
from txwatch.ports import AuditRecord, Clock

NOTHING: Counted = {}


class Ledger:
    """What was committed is on the disk; what raised left nothing.  Not for several threads."""

    def __init__(self, engine: Engine, folder: Path, clock: Clock) -> None:
        self._engine = engine
        self._folder = folder
        self._clock = clock

    @classmethod
    def open(cls, url: str, clock: Clock, *, home: Path = Path(".txwatch")) -> "Ledger":
        """Open the ledger at `url` (`sqlite:///PATH`, `postgresql://...`), making its tables.

        Snapshots lie beside the file; those of a ledger in PostgreSQL in the folder `home` of the machine.
        """
        ledger = cls(open_database(url), (folder_beside(url) or home) / "snapshots", clock)
        try:
            with ledger._writing() as connection:
                layout.prepare(connection)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def positions(self, source: str) -> dict[Partition, int]:
        """Return where the collector goes on reading in a source."""
        with self._reading() as connection:
            return progress.read_positions(connection, source)

    def commit_positions(self, moved: Mapping[Partition, int]) -> None:
        """Record the next sequence of each partition."""
        with self._writing() as connection:
            progress.write_positions(connection, moved)

    def cursors(self, consumer: str) -> dict[Partition, Cursor]:
        """Return how far the consumer's results are committed."""
        with self._reading() as connection:
            return progress.read_cursors(connection, consumer)

    def commit_step(
        self,
        consumer: str,
        cursors: Mapping[Partition, Cursor],
        anomalies: Sequence[Anomaly],
        looked_at: Counted = NOTHING,
    ) -> None:
        """Move the cursors, queue the new anomalies, and add what was looked at, together."""
        with self._writing() as connection:
            progress.write_cursors(connection, consumer, cursors)
            queue.enqueue(connection, anomalies, self._now())
            coverage.add(connection, looked_at)

    def record_act(self, consumer: str, cursors: Mapping[Partition, Cursor], document: bytes) -> int:
        """Write down what a consumer is about to do at these cursors; return its number."""
        with self._writing() as connection:
            return acts.append(connection, self._now(), consumer, cursors, document)

    def acts(self, consumer: str, after: int) -> list[RecordedAct]:
        """Return a consumer's acts beyond a number, in order; those that all snapshots have are gone."""
        with self._reading() as connection:
            return acts.beyond(connection, consumer, after)

    def save_snapshot(
        self,
        consumer: str,
        cursors: Mapping[Partition, Cursor],
        payload: bytes,
        version: str,
        act: int = 0,
    ) -> None:
        """Keep the state that belongs to these cursors and the acts up to a number; the last two are kept."""
        self.record_snapshot(consumer, cursors, self.write_snapshot(consumer, [payload]), version, act)

    def write_snapshot(self, consumer: str, payload: Iterable[bytes]) -> Written:
        """Write a state, in pieces, to a file that is no snapshot yet; any thread may call this method.

        What is not recorded before the consumer's next `record_snapshot` is gone then.
        """
        return snapshots.write_payload(self._folder, consumer, payload)

    def record_snapshot(
        self,
        consumer: str,
        cursors: Mapping[Partition, Cursor],
        written: Written,
        version: str,
        act: int = 0,
    ) -> None:
        """Make a written state the newest snapshot, for these cursors and the acts up to a number."""
        with self._writing() as connection:
            needed = snapshots.record(connection, consumer, cursors, written, version, self._now(), act)
        snapshots.sweep(self._folder, consumer, needed)

    def load_snapshot(self, consumer: str) -> Snapshot | None:
        """Return the newest undamaged snapshot, with a note when a newer one was not usable.

        None when there is none, or when somebody deleted all of them to start anew; raises SnapshotError
        when what is left is damaged.
        """
        with self._reading() as connection:
            return snapshots.newest(connection, self._folder, consumer)

    def forget_newer_snapshots(self, consumer: str, found: Snapshot) -> None:
        """Forget the damaged snapshots in whose place an older one was found, and append it to the audit."""
        with self._writing() as connection:
            snapshots.forget_newer(connection, consumer, found.number)
            audit.append(connection, self._now(), consumer, "snapshot unusable", {"why": found.note})

    def discovered(self, after: int, limit: int) -> list[Discovery]:
        """Return entries of the queue beyond a number, in order of discovery."""
        with self._reading() as connection:
            return queue.beyond(connection, after, limit)

    def newest_discovery(self) -> int:
        """Return the number of the queue's newest entry, 0 before the first."""
        with self._reading() as connection:
            return queue.newest(connection)

    def queue_position(self, name: str) -> int:
        """Return the number that a reader of the queue has handled last."""
        with self._reading() as connection:
            return queue.offset(connection, name)

    def advance(self, name: str, number: int) -> None:
        """Record that a reader of the queue has handled everything up to a number."""
        with self._writing() as connection:
            queue.advance(connection, name, number)

    def forget_discoveries(self, before: datetime) -> int:
        """Delete entries of the queue from before then; returns how many."""
        with self._writing() as connection:
            return queue.forget(connection, before.timestamp())

    def coverage(self) -> CoverageShelf:
        """Return the part that keeps what was looked at."""
        return CoverageShelf(self._reading, self._writing)

    def alerts(self) -> AlertBook:
        """Return the part in which the notifier keeps its groups and its outbox."""
        return AlertBook(self._reading, self._writing)

    def label(self, given: AnomalyLabel) -> None:
        """Keep what somebody says of an anomaly, now, and append it to the audit."""
        with self._writing() as connection:
            labels.append(connection, self._now(), given)
            facts = {"anomaly": given.anomaly_id, "label": given.verdict.value}
            audit.append(connection, self._now(), given.by, "anomaly labelled", facts)

    def labels(self, anomaly_id: str | None = None) -> Sequence[AnomalyLabel]:
        """Return the label in force of each anomaly, or of one, in the order in which they were given."""
        with self._reading() as connection:
            return labels.newest(connection, anomaly_id)

    def note(self, given: AnomalyNote) -> None:
        """Keep who looks into an anomaly, or a comment, and append it to the audit."""
        action = {"assigned": "anomaly assigned", "comment": "anomaly commented"}[given.kind]
        with self._writing() as connection:
            notes.append(connection, self._now(), given)
            facts = {"anomaly": given.anomaly_id, "text": given.text}
            audit.append(connection, self._now(), given.by, action, facts)

    def notes(self, anomaly_id: str) -> list[AnomalyNote]:
        """Return what was said of an anomaly, in order."""
        with self._reading() as connection:
            return notes.about(connection, anomaly_id)

    def assigned(self) -> dict[str, str]:
        """Return who looks into which anomaly, by anomaly."""
        with self._reading() as connection:
            return notes.assigned(connection)

    def rules(self) -> RulesShelf:
        """Return the part that keeps the versions of `rules.yaml`."""
        return RulesShelf(self._reading, self._writing, self._now)

    def label_changes(self, after: int, limit: int) -> list[LabelChange]:
        """Return labels beyond a number in order, each with what was said of the same anomaly before."""
        with self._reading() as connection:
            return labels.changes(connection, after, limit)

    def models(self) -> ModelShelf:
        """Return the part that keeps fitted models."""
        return ModelShelf(self._reading, self._writing, self._now)

    def record(self, actor: str, action: str, facts: Mapping[str, Any]) -> None:
        """Append to the audit."""
        with self._writing() as connection:
            audit.append(connection, self._now(), actor, action, facts)

    def audited(self, after: int, limit: int) -> list[AuditRecord]:
        """Return records of the audit beyond a number, in order."""
        with self._reading() as connection:
            return audit.beyond(connection, after, limit)

    def verify(self) -> int | None:
        """Return the number of the first audit record that was tampered with, None when all is whole."""
        with self._reading() as connection:
            return audit.first_broken(connection)

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._engine.dispose()

    def _now(self) -> float:
        return self._clock.now().timestamp()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction, all or nothing; waits for other writers."""
        with sentences(self._engine), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One consistent view, however much is written meanwhile."""
        with (
            sentences(self._engine),
            self._engine.connect().execution_options(**READING) as connection,
            connection.begin(),
        ):
            yield connection
