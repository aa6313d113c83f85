"""What a detector remembers at its start: the last snapshot and the acts since, or nothing yet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from detectors.acts import Pending, brought_by, pending
from detectors.configuration import known_configuration
from detectors.detection import Configuration, Detection, rules_of
from detectors.keeping import Place
from detectors.parties import Shelf
from detectors.reading import first_rules
from detectors.service import CONSUMER
from txwatch.errors import ConfigurationError
from txwatch.ledger.acts import RecordedAct
from txwatch.ledger.snapshots import Snapshot
from txwatch.model import Cursor, Partition


class MemoryLedger(Protocol):
    """The part of the ledger that keeps what a detector remembers."""

    def load_snapshot(self, consumer: str) -> Snapshot | None:
        """Return the newest undamaged snapshot."""

    def save_snapshot(
        self, consumer: str, cursors: Mapping[Partition, Cursor], payload: bytes, version: str, act: int
    ) -> None:
        """Keep a state."""

    def forget_newer_snapshots(self, consumer: str, found: Snapshot) -> None:
        """Forget the damaged snapshots in whose place an older one was found."""

    def acts(self, consumer: str, after: int) -> Sequence[RecordedAct]:
        """Return a consumer's acts beyond a number, in order."""

    def rules(self) -> Shelf:
        """Return the part that keeps the versions."""


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """A detection, where it stands, and the acts that it lacks."""

    detection: Detection
    at: Place
    pending: Sequence[Pending] = ()

    @property
    def configuration(self) -> Configuration:
        """What is in force when the acts have taken effect."""
        return brought_by(self.pending) or self.detection.configuration


def recalled(
    ledger: MemoryLedger, path: Path, *, require_apply: bool, window_seconds: int | None = None
) -> Recalled:
    """Return what the ledger has of an earlier run; raises SnapshotError where that cannot be used.

    Without a snapshot, a detector begins with empty baselines under the rules that are in force, and that
    beginning is kept at once: so whatever happens from now on has a state from which it is replayed.
    """
    snapshot = ledger.load_snapshot(CONSUMER)
    if snapshot is None:
        return _begun(
            ledger, _first(ledger, path, require_apply=require_apply, window_seconds=window_seconds)
        )
    if snapshot.note:
        ledger.forget_newer_snapshots(CONSUMER, snapshot)
    known = ledger.rules().found(rules_of(snapshot.payload))
    if known is None:
        configuration = _first(ledger, path, require_apply=require_apply, window_seconds=window_seconds)
    else:
        configuration = known_configuration(path, known.content, known.beside, window_seconds=window_seconds)
    return Recalled(
        detection=Detection.restored(configuration, snapshot.payload),
        at=Place(cursors=snapshot.cursors, act=snapshot.act),
        pending=pending(
            ledger.acts(CONSUMER, snapshot.act),
            lambda version: _compiled(ledger.rules(), path, version, window_seconds),
        ),
    )


def _first(
    ledger: MemoryLedger, path: Path, *, require_apply: bool, window_seconds: int | None
) -> Configuration:
    """Return the rules of a detector that remembers nothing; they are in force from now on."""
    shelf = ledger.rules()
    configuration = first_rules(path, shelf, require_apply=require_apply, window_seconds=window_seconds)
    shelf.edited(configuration.as_version(path.name, "in the file at the start"))
    return configuration


def _begun(ledger: MemoryLedger, configuration: Configuration) -> Recalled:
    """Return a detection that has seen nothing; acts on a state that is gone are gone with it."""
    detection = Detection.fresh(configuration)
    acts = ledger.acts(CONSUMER, 0)
    at = Place(cursors={}, act=acts[-1].number if acts else 0)
    ledger.save_snapshot(CONSUMER, at.cursors, detection.dump(), detection.version, at.act)
    return Recalled(detection=detection, at=at)


def _compiled(shelf: Shelf, path: Path, version: str, window_seconds: int | None) -> Configuration:
    known = shelf.found(version)
    if known is None:
        raise ConfigurationError(f"the ledger has no rules {version}")
    return known_configuration(path, known.content, known.beside, window_seconds=window_seconds)
