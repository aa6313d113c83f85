"""The service that takes an edited `rules.yaml` into the running detectors, or says why it does not."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Protocol

from detectors.configuration import beside_is_same, beside_of, known_configuration
from detectors.detection import Configuration
from detectors.troubles import broken_rule, refused_rules
from txwatch.errors import ConfigurationError, TxwatchError
from txwatch.model import Anomaly, RulesVersion
from txwatch.ports import ChangeStore, Clock, Health, Progress
from txwatch.watchedfile import GONE, Content, WatchedFile, needed


class Detector(Protocol):
    """The part of the detector that this service needs."""

    @property
    def configuration(self) -> Configuration:
        """What is in force."""

    @property
    def replaying(self) -> bool:
        """Whether rows are scored again whose results are committed already."""

    def faults(self) -> list[str]:
        """What is set aside, in sentences."""

    def change(self, configuration: Configuration) -> list[str]:
        """Put another configuration into force between two batches; return what begins anew."""

    def tell(self, anomaly: Anomaly) -> None:
        """Store an anomaly about the detection itself and queue it."""


class RulesLedger(Protocol):
    """The part of the ledger that this service needs."""

    def rules_in_force(self, given: RulesVersion) -> RulesVersion:
        """Keep what is in force from now on, with an audit record."""

    def record(self, actor: str, action: str, facts: Mapping[str, object]) -> None:
        """Append to the audit."""


class RulesService:
    """Takes an edited rules file over while everything runs on.

    1. Every second, look whether the content of the file, or of a list beside it, is another and stays so.
    2. Read and compile it aside, in another thread; detection goes on meanwhile.
    3. If it is in order: keep it in the ledger as the version in force, then let the detector change
       between two batches.  What did not change goes on with its memory; what did begins anew, and the
       sentence names it.
    4. If it is not: the version in force stays, and everybody is told: the health, the audit, a mark on the
       dashboards, and an anomaly of type configuration, once for each content.

    A rule that fails while it is evaluated is set aside by the rule book and told in the same way; any
    change of the file tries it again.  A process that dies goes on with the version of its last snapshot
    up to where results are committed, and takes the file then: so it scores every row as it did before.
    """

    name = "rules"

    def __init__(
        self,
        path: Path,
        detector: Detector,
        ledger: RulesLedger,
        clock: Clock,
        aside: Executor,
        *,
        store: ChangeStore | None = None,
        window_seconds: int | None = None,
    ) -> None:
        """`aside` runs what must not hold up the detection; `store` takes the marks for dashboards."""
        self._detector, self._ledger, self._clock, self._aside = detector, ledger, clock, aside
        self._store, self._window_seconds = store, window_seconds
        used = detector.configuration
        known = used.content if beside_is_same(path, used) else GONE
        self._file = WatchedFile(path, known, beside_of(path, used))
        self._reading: tuple[Content, Future[Configuration]] | None = None
        self._ready: Configuration | None = None
        self._fault, self._told_faults, self._changes = "", set[str](), 0
        self._said = f"rules {used.version} in use"

    def catch_up(self, *, strictly: bool = False) -> None:
        """Read at once what stands in the file now, before anything else is scored.

        `strictly` raises its ConfigurationError instead of going on with the version in force.
        """
        content = self._file.look() or self._file.look()
        if content is None:
            return
        read: Future[Configuration] = Future()
        try:
            read.set_result(_reader(self._file.path, content, self._window_seconds)())
        except TxwatchError as error:
            if strictly:
                raise
            read.set_exception(error)
        self._settle(content, read)

    def step(self) -> Progress:
        """Look if it is time; settle what was read; change as soon as the detector may."""
        if self._reading is not None and self._reading[1].done():
            self._settle(*self._reading)
        elif self._reading is None and self._file.is_due(self._clock.now()):
            self._look()
            self._tell_broken_rules()
        if self._ready is not None and not self._detector.replaying:
            self._change(self._ready)
        waiting = self._reading is not None or self._ready is not None or self._file.unsettled
        return Progress(handled=0, finished=not waiting, waiting=waiting)

    def health(self) -> Health:
        """Return what is in use; degraded while the file on disk has faults."""
        pending = self._reading is not None or self._ready is not None
        figures = {
            "pending": float(pending),
            "refused": float(bool(self._fault)),
            "changes_total": float(self._changes),
        }
        sentence = f"{self._said}; the file on disk is refused: {self._fault}" if self._fault else self._said
        return Health(
            name=self.name, state="degraded" if self._fault else "ok", sentence=sentence, figures=figures
        )

    def close(self) -> None:
        """What is not in force yet is taken at the next start."""
        self._aside.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> None:
        content = self._file.look()
        if content is not None:
            read = _reader(self._file.path, content, self._window_seconds)
            self._reading = (content, self._aside.submit(read))

    def _settle(self, content: Content, read: Future[Configuration]) -> None:
        self._reading = None
        try:
            configuration = read.result()
            self._refuse_other_currency(configuration)
        except TxwatchError as error:
            self._file.know(content)
            self._refuse(content, error)
            return
        self._file.know(content, beside_of(self._file.path, configuration))
        self._fault = ""
        self._told_faults.clear()
        self._ready = None if configuration.version == self._detector.configuration.version else configuration

    def _refuse_other_currency(self, configuration: Configuration) -> None:
        used, wanted = self._detector.configuration.detection, configuration.detection
        if used.base_currency != wanted.base_currency:
            raise ConfigurationError(
                f"base_currency is {wanted.base_currency}, and every baseline is in {used.base_currency}: "
                "it takes a start with empty baselines (delete the folder `snapshots` in the home)"
            )

    def _refuse(self, content: Content, error: TxwatchError) -> None:
        self._fault, fault = error.head, str(error)
        digest = hashlib.sha256(content.text).hexdigest()
        version = self._detector.configuration.version
        self._ledger.record(self._file.path.name, "rules refused", {"sha256": digest, "fault": fault})
        self._mark("rules refused", f"{version} stays: {self._fault}")
        self._detector.tell(refused_rules(digest, fault, version, self._clock.now()))

    def _change(self, configuration: Configuration) -> None:
        before = self._detector.configuration.version
        given = configuration.as_version(self._file.path.name, "the file was edited")
        kept = self._ledger.rules_in_force(given)
        anew = self._detector.change(configuration)
        self._ready = None
        self._changes += 1
        self._said = f"rules {kept.version} in use (number {kept.number})" + _begun(anew)
        self._mark("rules", f"rules {kept.version} (number {kept.number}) instead of {before}{_begun(anew)}")

    def _tell_broken_rules(self) -> None:
        for fault in set(self._detector.faults()) - self._told_faults:
            self._told_faults.add(fault)
            version = self._detector.configuration.version
            self._ledger.record(self._file.path.name, "rule set aside", {"fault": fault})
            self._detector.tell(broken_rule(fault, version, self._clock.now()))

    def _mark(self, kind: str, sentence: str) -> None:
        if self._store is not None:
            version = self._detector.configuration.version
            self._store.put_change(kind, version, sentence, self._clock.now())


def _reader(path: Path, content: Content, window_seconds: int | None) -> Callable[[], Configuration]:
    def read() -> Configuration:
        return known_configuration(path, needed(path, content), window_seconds=window_seconds)

    return read


def _begun(anew: Sequence[str]) -> str:
    return f"; beginning anew: {', '.join(anew)}" if anew else ""
