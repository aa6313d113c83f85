"""One object for all detection: transactions, rules and series, with one state.

    findings = detection.step(rows, now)

The same rows in the same order give the same findings, wherever they are cut into batches.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import polars as pl

from detectors.covering import AtWork, Covering, series_counted
from detectors.drift import DriftWatch
from detectors.engine import Engine
from detectors.guard import NOTHING_PLANNED, Guard, GuardSettings, Memory
from detectors.rehearsal import Rehearsal
from detectors.rows import milliseconds
from detectors.rules.book import RuleBook
from detectors.rules.comparing import former_of, former_over
from detectors.rules.draft import Draft
from detectors.rules.former import Former
from detectors.scored import Scored
from detectors.series.traffic import TrafficSettings, TrafficWatch
from detectors.series.watched import Watched
from detectors.settings import DetectionSettings
from detectors.snapshot import PackedArray, encode, framed, opened, pack, unpack
from detectors.state import Array
from txwatch.canary import Canaries, parted
from txwatch.coverage import Counted, added
from txwatch.errors import SnapshotError
from txwatch.model import Anomaly, RulesVersion
from txwatch.ports import SeriesPoint
from txwatch.registry import ModelChange

VERSION = "4"


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch brought to light."""

    anomalies: Sequence[Anomaly]
    points: Sequence[SeriesPoint]
    models: Sequence[ModelChange] = ()
    """What happened to fitted models."""
    looked_at: Counted = {}
    """What each detector looked at, by window."""


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules file says to this room, compiled.

    `version` is a hash of everything that detects; `content` and `beside` are what it was made of.
    """

    detection: DetectionSettings
    traffic: TrafficSettings
    rulebook: Callable[..., RuleBook]
    """Makes a rule book with empty windows; it may be given what was there before, for comparison."""
    draft: Draft
    """What it was compiled from."""
    version: str
    content: bytes = b""
    beside: dict[str, bytes] = {}
    canaries: Canaries | None = None
    guard: GuardSettings = GuardSettings()

    @property
    def needs_apply(self) -> bool:
        """Whether an edited file waits for `apply`, since a second person may have to approve it."""
        return self.guard.second_person != "none"

    def as_version(self, actor: str, reason: str) -> RulesVersion:
        """Return it as a version that comes into force, by somebody and for a reason."""
        return RulesVersion(
            version=self.version, content=self.content, beside=self.beside, actor=actor, reason=reason
        )


class Detection:
    """The transaction engine and the traffic watch, stepped together."""

    version = VERSION

    def __init__(
        self,
        engine: Engine,
        traffic: TrafficWatch,
        rulebook: RuleBook,
        configuration: Configuration,
        guard: Guard | None = None,
        *,
        labels: int = 0,
        drift: Mapping[str, Array] | None = None,
        covering: Covering | None = None,
    ) -> None:
        self.guard = Guard(configuration.guard) if guard is None else guard
        self._engine = engine
        self._traffic = traffic
        self._rulebook = rulebook
        self._configuration = configuration
        self._labels = labels
        self._drift = DriftWatch(configuration.detection.drift, configuration.detection.severity)
        self._drift.recall(drift or {})
        self._covering = covering or Covering()
        self._rehearsal = Rehearsal(configuration.detection, configuration.rulebook)

    @property
    def configuration(self) -> Configuration:
        """What is in force."""
        return self._configuration

    @classmethod
    def fresh(cls, configuration: Configuration) -> "Detection":
        """Return a detection that has seen nothing."""
        rulebook = configuration.rulebook()
        engine = Engine(configuration.detection, rulebook)
        return cls(engine, TrafficWatch(configuration.traffic), rulebook, configuration)

    @classmethod
    def restored(cls, configuration: Configuration, payload: bytes) -> "Detection":
        """Return the detection that was dumped; raises SnapshotError when it does not fit."""
        kept, engine_payload = opened(memoryview(payload), _Kept)
        watch = None if kept.guard is None else kept.guard.watch
        rulebook = configuration.rulebook(None if watch is None else watch.former)
        engine = Engine.restore(bytes(engine_payload), configuration.detection, rulebook)
        traffic = TrafficWatch(configuration.traffic)
        traffic.restore(unpack(kept.arrays) | kept.plain)
        guard = Guard(configuration.guard, kept.guard)
        return cls(
            engine,
            traffic,
            rulebook,
            configuration,
            guard,
            labels=kept.labels,
            drift=unpack(kept.drift),
            covering=Covering(kept.asked),
        )

    def changed(
        self,
        configuration: Configuration,
        *,
        trusted: bool = False,
        planned: Mapping[str, float] = NOTHING_PLANNED,
    ) -> tuple["Detection", list[str]]:
        """Return a detection under another configuration that goes on where this one stands.

        Unless it is `trusted`, its guard watches the change, and expects what was `planned`.  The second
        part names what cannot go on: features that are defined otherwise, detectors whose memory has another
        shape, traffic series whose windows have another length.  This one is used no longer.
        """
        before = None if trusted else self._configuration.version
        former = None if trusted else self._replaced_by(configuration)
        guard = self.guard.begin(configuration.guard, configuration.version, before, planned, former)
        rulebook = configuration.rulebook(None if guard.watch is None else guard.watch.former)
        engine, anew = self._engine.changed(configuration.detection, rulebook)
        traffic = self._traffic_under(configuration.traffic)
        anew += ["traffic series"] if traffic is None else []
        following = Detection(
            engine,
            traffic or TrafficWatch(configuration.traffic),
            rulebook,
            configuration,
            guard,
            labels=self._labels if self._configuration.detection.feedback else 0,
            drift=self._drift.state.dump(),
            covering=self._covering.without(anew),
        )
        return following, anew

    def _replaced_by(self, configuration: Configuration) -> Former | None:
        """Return what is replaced of the version that is trusted, None where that cannot be told."""
        before, after = self._configuration.draft, configuration.draft
        watch = self.guard.watch
        return former_of(before, after) if watch is None else former_over(watch.former, before, after)

    def _traffic_under(self, settings: TrafficSettings) -> TrafficWatch | None:
        """Return the traffic watch under other settings, None where its memory does not fit them."""
        if settings == self._configuration.traffic:
            return self._traffic
        watch = TrafficWatch(settings)
        try:
            watch.restore(self._traffic.dump())
        except SnapshotError:
            return None
        return watch

    def step(self, rows: pl.DataFrame, now: Callable[[], datetime]) -> Findings:
        """Score feed rows (columns FEED) and return what was found; `now` stamps the anomalies."""
        rows, canaries = parted(rows, self._configuration.canaries)
        if rows.is_empty() and not canaries.is_empty():
            return Findings(anomalies=self._rehearsal.found(canaries, now()), points=[])
        scored = self._engine.step(rows)
        self._rehearsal.listen(scored)
        at = now()
        points, series_anomalies = self._traffic.step(rows[scored.fresh], at)
        anomalies = self._engine.anomalies(rows, scored, at)
        self.guard.step(rows, [*anomalies, *series_anomalies], _before(scored, anomalies))
        times = milliseconds(rows["timestamp"])
        drift_points, drifts = self._drift.step(times[scored.fresh], scored, at, self._engine.versions)
        return Findings(
            anomalies=[*anomalies, *series_anomalies, *drifts, *self._rehearsal.found(canaries, at)],
            points=[*points, *drift_points],
            models=self._engine.model_changes(),
            looked_at=added(
                [
                    self._covering.step(times, scored, self._at_work()),
                    series_counted(points, self._traffic.late_times()),
                ]
            ),
        )

    def _at_work(self) -> AtWork:
        return AtWork(
            warm_ups=self._engine.warm_ups(),
            rules=bool(self._rulebook.rules),
            failed=self._rulebook.set_aside(),
        )

    @property
    def labels(self) -> int:
        """The number of the last label that was learnt, 0 before the first."""
        return self._labels

    def learn(self, frauds: pl.DataFrame, withdrawn: pl.DataFrame, number: int) -> None:
        """Learn labels up to a number: payments now known as frauds, and some that are frauds no longer.

        Both have the columns transaction_id, timestamp, user_id and merchant_id.
        """
        self._engine.confirm(frauds)
        self._engine.withdraw(withdrawn)
        self._labels = number

    def install(self, name: str, payload: bytes, *, held: bool) -> None:
        """Let a kept model of a detector count; raises SnapshotError where it cannot."""
        self._engine.install(name, payload, held=held)

    def dump(self) -> bytes:
        """Return everything that is remembered."""
        return b"".join(self.copied()())

    def copied(self) -> Callable[[], list[bytes]]:
        """Copy everything that is remembered; return what makes a dump of the copy, in any thread.

        The dump comes in pieces.
        """
        return self._dumping(copies=True)

    def pieces(self) -> list[bytes]:
        """Return a dump in pieces, made of the very arrays: they must be written before the next step."""
        return self._dumping(copies=False)()

    def _dumping(self, *, copies: bool) -> Callable[[], list[bytes]]:
        engine, traffic = self._engine.contents(copies=copies), self._traffic.dump()
        arrays = pack({name: value for name, value in traffic.items() if isinstance(value, np.ndarray)})
        plain = {name: value for name, value in traffic.items() if name not in arrays}
        kept = _Kept(
            arrays=arrays,
            plain=plain,
            rules=self._configuration.version,
            guard=self.guard.kept(),
            labels=self._labels,
            drift=pack(self._drift.state.dump()),
            asked=self._covering.dump(),
        )
        return lambda: [*framed(kept), *encode(engine)]

    def figures(self) -> dict[str, float]:
        """Return what the detection says of itself: entities, memory, series, late rows."""
        traffic = self._traffic
        late = {"series_late_total": float(traffic.late), "series_ignored_total": float(traffic.ignored)}
        return self._engine.figures() | {"series": float(len(traffic.series))} | late

    def state_bytes(self) -> int:
        """Return how much is remembered of transactions, the windows of rules included."""
        return self._engine.nbytes() + len(self._rulebook.dump())

    @property
    def runs(self) -> int:
        """How many windows of the traffic were judged since the start."""
        return self._traffic.runs

    def faults(self) -> list[str]:
        """Return what is set aside, in sentences; nothing when all is well."""
        return list(self._rulebook.faults())

    def missed(self) -> list[str]:
        """Return why the last canary was not found, in a sentence; nothing when it was."""
        return self._rehearsal.faults()


def _before(scored: Scored, anomalies: Sequence[Anomaly]) -> dict[str, int] | None:
    """Return the severity of each anomaly under the rules before the change that is watched."""
    judged = scored.judged
    if judged.severity_before is None:
        return None
    before = judged.severity_before[judged.severity > 0].tolist()
    return {each.anomaly_id: int(level) for each, level in zip(anomalies, before, strict=True)}


def rules_of(payload: bytes) -> str:
    """Return the version of the rules under which a detection was dumped; raises SnapshotError.

    Everything else in the dump is passed over.
    """
    return opened(memoryview(payload), _Labelled)[0].rules


def series_of(payload: bytes) -> list[str]:
    """Return the series that a dumped detection watches; a series' registered number is its place."""
    kept, _ = opened(memoryview(payload), _Kept)
    watched = Watched({}, 1, 0)
    watched.restore(unpack(kept.arrays) | kept.plain)
    return watched.names


class _Labelled(msgspec.Struct, frozen=True, kw_only=True):
    rules: str


class _Kept(_Labelled, frozen=True, kw_only=True):
    arrays: dict[str, PackedArray]
    plain: dict[str, Any]
    guard: Memory | None = None
    drift: dict[str, PackedArray] = {}
    labels: int = 0
    asked: dict[str, int] = {}
