"""What changes the state of the detection beside the rows: other rules, labels, a model that counts.

An act is written to the ledger, with the cursors at which it happens, before it takes effect.  So no state
has to be on the disk before scoring goes on: after a crash the acts since the last snapshot take effect
again, each at its cursors, and lead to the same state.

    recorded, then a crash      it takes effect at the next start; nothing is lost
    in effect, then a crash     it takes effect again, on a state that does not have it
    in the snapshot             it does not: a snapshot names the last act that is in it
"""

import io
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import polars as pl

from detectors.detection import Configuration, Detection
from txwatch.errors import ConfigurationError, SnapshotError
from txwatch.ledger.acts import RecordedAct
from txwatch.model import Cursor, Partition

Compile = Callable[[str], Configuration]
"""Returns the configuration of a version in the ledger; raises ConfigurationError where it cannot be had."""


class RulesChanged(msgspec.Struct, frozen=True, kw_only=True, tag="rules"):
    """Another version of the rules came into force."""

    version: str
    trusted: bool
    planned: dict[str, float]

    def apply(self, detection: Detection, configuration: Configuration) -> tuple[Detection, list[str]]:
        """Return the detection under the version, and what begins anew."""
        return detection.changed(configuration, trusted=self.trusted, planned=self.planned)


class LabelsLearnt(msgspec.Struct, frozen=True, kw_only=True, tag="labels"):
    """Labels up to a number were learnt; both frames are in the format of Arrow."""

    frauds: bytes
    withdrawn: bytes
    number: int

    @classmethod
    def of(cls, frauds: pl.DataFrame, withdrawn: pl.DataFrame, number: int) -> "LabelsLearnt":
        """Return the act of learning these payments."""
        return cls(frauds=_written(frauds), withdrawn=_written(withdrawn), number=number)

    def apply(self, detection: Detection) -> None:
        """Let a detection learn them."""
        detection.learn(pl.read_ipc(self.frauds), pl.read_ipc(self.withdrawn), self.number)


class ModelInstalled(msgspec.Struct, frozen=True, kw_only=True, tag="model"):
    """A kept model counts from now on."""

    name: str
    payload: bytes
    held: bool

    def apply(self, detection: Detection) -> None:
        """Let it count; raises SnapshotError where it cannot, and changes nothing then."""
        detection.install(self.name, self.payload, held=self.held)


Act = RulesChanged | LabelsLearnt | ModelInstalled


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """An act that a state does not have yet; `configuration` is what it brings into force."""

    number: int
    cursors: dict[Partition, Cursor]
    act: Act
    configuration: Configuration | None = None

    def apply(self, detection: Detection) -> Detection:
        """Return the detection after it.

        A model that could not count the first time changes nothing again.  A version that cannot be compiled
        any more is passed over: what was in force before stays, and the rules service tells of it as of
        any version that is refused.
        """
        match self.act:
            case RulesChanged() as changed if self.configuration is not None:
                return changed.apply(detection, self.configuration)[0]
            case LabelsLearnt() as learnt:
                learnt.apply(detection)
            case ModelInstalled() as installed:
                with suppress(SnapshotError):
                    installed.apply(detection)
        return detection


def written(act: Act) -> bytes:
    """Return an act as it stands in the ledger."""
    return msgspec.msgpack.encode(act)


def pending(recorded: Sequence[RecordedAct], compiled: Compile) -> list[Pending]:
    """Return recorded acts, in order; raises SnapshotError for what another edition wrote."""
    return [_pending(each, compiled) for each in recorded]


def brought_by(acts: Sequence[Pending]) -> Configuration | None:
    """Return what the last change of rules among them brings into force, None where there is none."""
    return next((each.configuration for each in reversed(acts) if each.configuration is not None), None)


def _pending(recorded: RecordedAct, compiled: Compile) -> Pending:
    try:
        act: Act = msgspec.msgpack.decode(recorded.document, type=Act)
    except msgspec.MsgspecError as error:
        raise SnapshotError(
            f"act {recorded.number} in the ledger was written by another version: {error}"
        ) from error
    configuration = _compiled(act, compiled) if isinstance(act, RulesChanged) else None
    return Pending(number=recorded.number, cursors=recorded.cursors, act=act, configuration=configuration)


def _compiled(act: RulesChanged, compiled: Compile) -> Configuration | None:
    try:
        return compiled(act.version)
    except ConfigurationError:
        return None


def _written(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_ipc(file)
    return file.getvalue()
