"""The service that takes other rules into the running detectors, or says why it does not."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from pathlib import Path

import msgspec

from detectors.configuration import beside_is_same, beside_of
from detectors.detection import Configuration
from detectors.edits import Fate, Known, digest_of, fate_of
from detectors.parties import Detector, RulesLedger
from detectors.reading import at_once, file_reader, version_reader
from detectors.troubles import broken_rule, refused_rules, rolled_back
from txwatch.errors import ConfigurationError, TxwatchError
from txwatch.model import RulesVersion
from txwatch.ports import ChangeStore, Clock, Health, Progress
from txwatch.watchedfile import GONE, Content, WatchedFile

GUARD = "the guard"
"""Who rolls a flood back."""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Rules that go into force as soon as the detector may; `number` if the ledger has them already."""

    configuration: Configuration
    number: int = 0


class RulesService:
    """Takes other rules over while everything runs on: the newest in the ledger, or an edited file.

    1. Every second, look whether the ledger has a newer number (`txwatch rules apply`, `rollback`), or
       whether the content of the file, or of a list beside it, is another and stays so.
    2. Read and compile it aside, in another thread; detection goes on meanwhile.
    3. If it is in order: keep it in the ledger as the version in force, then let the detector change
       between two batches.  What did not change goes on with its memory; what did begins anew, and the
       sentence names it.  With `require_apply` an edited file waits instead until somebody applies it.
    4. If it is not: the version in force stays, and everybody is told: the health, the audit, a mark on the
       dashboards, and an anomaly of type configuration, once for each content.
    5. The guard watches the change.  If it floods, what was trusted before comes back, everybody is told
       in the same ways, and the version stays out, also after a restart.

    A rule that fails while it is evaluated is set aside by the rule book and told in the same way; any
    change of the file tries it again.  A process that dies goes on with the versions that were in force up
    to where results are committed, and takes the newest then: so it scores every row as it did before.
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
        require_apply: bool = False,
    ) -> None:
        """`aside` runs what must not hold up the detection; `store` takes the marks for dashboards."""
        self._detector, self._ledger, self._clock, self._aside = detector, ledger, clock, aside
        self._store, self._require_apply, self._shelf = store, require_apply, ledger.rules()
        used = detector.configuration
        known = used.content if beside_is_same(path, used) else GONE
        self._file = WatchedFile(path, known, beside_of(path, used))
        self._number, version = self._shelf.head()
        if version != used.version:
            self._number = 0
        self._reading: tuple[Content | RulesVersion, Future[Configuration]] | None = None
        self._ready: Ready | None = None
        self._fault, self._note, self._told_faults, self._changes = "", "", set[str](), 0
        self._said = f"rules {used.version} in use"

    def catch_up(self, *, strictly: bool = False) -> None:
        """Read at once what is newest in the ledger and in the file, before anything else is scored.

        `strictly` raises the file's ConfigurationError instead of going on with the version in force.
        """
        newer = self._newer()
        if newer is not None:
            self._settle_version(newer, at_once(version_reader(self._file.path, newer)))
        content = self._file.look() or self._file.look()
        if content is None:
            self._consider(self._detector.configuration)
            return
        read = at_once(file_reader(self._file.path, content))
        if strictly and read.exception() is not None:
            read.result()
        self._settle_file(content, read)

    def step(self) -> Progress:
        """Look if it is time; settle what was read; change as soon as the detector may."""
        if self._reading is not None and self._reading[1].done():
            self._settle(*self._reading)
        elif self._reading is None and self._file.is_due(self._clock.now()):
            self._look()
            self._tell_broken_rules()
        if not self._detector.replaying:
            if self._ready is None and (why := self._detector.guard.flood()) is not None:
                self._roll_back(why)
            for sentence in self._detector.guard.quiet():
                self._tell_quiet(sentence)
            if self._ready is not None:
                self._change(self._ready)
        waiting = self._reading is not None or self._ready is not None or self._file.unsettled
        return Progress(handled=0, finished=not waiting, waiting=waiting)

    def health(self) -> Health:
        """Return what is in use; degraded while the file on disk is refused."""
        pending = self._reading is not None or self._ready is not None
        figures = {
            "pending": float(pending),
            "refused": float(bool(self._fault)),
            "changes_total": float(self._changes),
        }
        refused = f"the file on disk is refused: {self._fault}" if self._fault else self._note
        parts = [self._said, self._detector.guard.said(), refused]
        return Health(
            name=self.name,
            state="degraded" if self._fault else "ok",
            sentence="; ".join(part for part in parts if part),
            figures=figures,
        )

    def close(self) -> None:
        """What is not in force yet is taken at the next start."""
        self._aside.shutdown(wait=False, cancel_futures=True)

    def _newer(self) -> RulesVersion | None:
        """Return what the ledger has in force since the last look, if it is other rules."""
        number, version = self._shelf.head()
        if number in {0, self._number}:
            return None
        self._number = number
        if version == self._version_to_be():
            return None
        return self._shelf.numbered(number)

    def _look(self) -> None:
        newer = self._newer()
        content = None if newer is not None else self._file.look()
        if newer is not None:
            self._reading = (newer, self._aside.submit(version_reader(self._file.path, newer)))
        elif content is not None:
            self._reading = (content, self._aside.submit(file_reader(self._file.path, content)))

    def _settle(self, what: Content | RulesVersion, read: Future[Configuration]) -> None:
        self._reading = None
        if isinstance(what, RulesVersion):
            self._settle_version(what, read)
        else:
            self._settle_file(what, read)

    def _settle_version(self, version: RulesVersion, read: Future[Configuration]) -> None:
        try:
            configuration = self._possible(read)
        except TxwatchError as error:
            self._refuse(version.content, error)
            return
        self._fault = self._note = ""
        self._ready = Ready(configuration=configuration, number=version.number)

    def _settle_file(self, content: Content, read: Future[Configuration]) -> None:
        try:
            configuration = self._possible(read)
            fate, why = fate_of(configuration, self._known())
            if fate is Fate.REFUSED:
                raise ConfigurationError(why)
        except TxwatchError as error:
            self._file.know(content)
            self._refuse(content.text, error)
            return
        self._file.know(content, beside_of(self._file.path, configuration))
        self._fault = ""
        self._note = "" if fate in {Fate.SAME, Fate.TAKEN} else why
        new = self._consider(configuration)
        if fate is Fate.TAKEN:
            self._ready = Ready(configuration=configuration)
        elif fate is Fate.WAITS and new:
            self._ledger.record(self._file.path.name, "rules wait", {"version": configuration.version})
            self._mark("rules wait", why)

    def _known(self) -> Known:
        return Known(
            version=self._version_to_be(),
            number=self._number,
            considered=self._shelf.considered(str(self._file.path)),
            blocked=self._shelf.blocked(),
            require_apply=self._require_apply or self._detector.configuration.needs_apply,
        )

    def _version_to_be(self) -> str:
        used = self._detector.configuration if self._ready is None else self._ready.configuration
        return used.version

    def _possible(self, read: Future[Configuration]) -> Configuration:
        """Return what was read; raises TxwatchError for what can never be in force here."""
        wanted, used = read.result(), self._detector.configuration.detection
        if used.base_currency != wanted.detection.base_currency:
            raise ConfigurationError(
                f"base_currency is {wanted.detection.base_currency}, and every baseline is in "
                f"{used.base_currency}: it takes a start with empty baselines (delete the folder "
                "`snapshots` in the home)"
            )
        return wanted

    def _consider(self, configuration: Configuration) -> bool:
        """Keep what stands in the file; tell whether it is another content than the one considered last."""
        path, digest = str(self._file.path), digest_of(configuration)
        if self._shelf.considered(path) == digest:
            return False
        self._shelf.consider(path, digest)
        return True

    def _refuse(self, content: bytes, error: TxwatchError) -> None:
        self._fault, fault = error.head, str(error)
        digest = hashlib.sha256(content).hexdigest()
        version = self._detector.configuration.version
        self._ledger.record(self._file.path.name, "rules refused", {"sha256": digest, "fault": fault})
        self._mark("rules refused", f"{version} stays: {self._fault}")
        self._detector.tell(refused_rules(digest, fault, version, self._clock.now()))

    def _change(self, ready: Ready) -> None:
        before, number = self._detector.configuration.version, ready.number
        if not number:
            reason = f"the file was edited{_owned(self._file.path)}"
            given = ready.configuration.as_version(self._file.path.name, reason)
            number = self._number = self._shelf.edited(given).number
        watch = self._detector.guard.watch
        trusted = watch is not None and watch.trusted == ready.configuration.version
        planned = self._shelf.expected(ready.configuration.version)
        anew = self._detector.change(ready.configuration, trusted=trusted, planned=planned)
        self._ready = None
        self._told_faults.clear()
        self._changes += 1
        self._said = f"rules {ready.configuration.version} in use (number {number})" + _begun(anew)
        self._mark("rules", f"{self._said} instead of {before}")
        if (why := self._shelf.blocked().get(before)) is not None:
            self._tell_rolled_back(before, why)

    def _roll_back(self, why: str) -> None:
        """Put back what was trusted before the change under watch."""
        watch = self._detector.guard.watch
        trusted = None if watch is None else self._shelf.found(watch.trusted)
        if trusted is None:
            return
        bad = self._detector.configuration.version
        given = msgspec.structs.replace(trusted, actor=GUARD, reason=why)
        kept = self._shelf.rolled_back(bad, given)
        self._number = kept.number
        self._settle_version(kept, at_once(version_reader(self._file.path, kept)))

    def _tell_rolled_back(self, bad: str, why: str) -> None:
        version = self._detector.configuration.version
        self._fault = f"rules {bad} were rolled back and stay out: {why}"
        self._mark("rules rolled back", f"{version} instead of {bad}: {why}")
        self._detector.tell(rolled_back(bad, version, why, self._clock.now()))

    def _tell_quiet(self, sentence: str) -> None:
        """Tell that a rule hits far less than was planned; nothing is rolled back for that."""
        facts = {"version": self._detector.configuration.version, "what": sentence}
        self._ledger.record(self._file.path.name, "rule quieter than planned", facts)
        self._mark("rule quieter than planned", sentence)
        self._note = sentence

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


def _owned(path: Path) -> str:
    """Say whose file it is, which is not always who edited it."""
    try:
        return f" (it belongs to {path.owner()})"
    except (OSError, KeyError):  # it is gone again, or its owner has no name here
        return ""


def _begun(anew: Sequence[str]) -> str:
    return f"; beginning anew: {', '.join(anew)}" if anew else ""
