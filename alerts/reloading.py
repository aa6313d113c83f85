"""The service that takes an edited alert policy into the running notifier, or says why it does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from alerts.policy import AlertSettings, settings_of
from txwatch.errors import TxwatchError
from txwatch.ports import Clock, Health, Progress
from txwatch.shipped import known_document
from txwatch.watchedfile import GONE, Content, WatchedFile, needed


class Audit(Protocol):
    """The part of the ledger that this service needs."""

    def record(self, actor: str, action: str, facts: dict[str, str]) -> None:
        """Append to the audit."""


def nothing_applied() -> bytes | None:
    """Say that the file counts."""
    return None


class PolicyService:
    """Follows the section `alerts` of `rules.yaml` while the notifier runs.

    Every second it looks whether the content of the file is another and stays so; where an edited file
    waits for `txwatch rules apply`, whether another was applied.  A policy that is in order is followed from
    the next step on; one with faults changes nothing, degrades the health and leaves a record in the audit.
    Faults in other sections are for the detectors to tell.
    """

    name = "policy"

    def __init__(
        self,
        path: Path,
        used: AlertSettings,
        take: Callable[[AlertSettings], None],
        audit: Audit,
        clock: Clock,
        applied: Callable[[], bytes | None] = nothing_applied,
    ) -> None:
        """`used` is followed now; `take` follows another, or raises TxwatchError where it cannot.

        `applied` says what was applied last where only that counts (`txwatch.applied`).
        """
        self._used, self._take, self._audit, self._clock = used, take, audit, clock
        self._file = WatchedFile(path, path.read_bytes() if path.is_file() else GONE)
        self._fault, self._changes = "", 0
        self._applied, self._known = applied, applied()

    def step(self) -> Progress:
        """Look if it is time."""
        if self._file.is_due(self._clock.now()):
            applied = self._applied()
            if applied is None:
                content = self._file.look()
                if content is not None:
                    self._file.know(content)
                    self._follow(content, "the file was edited")
            elif applied != self._known:
                self._follow(Content(applied), "it was applied")
            self._known = applied
        return Progress(handled=0, finished=True)

    def health(self) -> Health:
        """Return whether the policy on disk is followed."""
        figures = {"refused": float(bool(self._fault)), "changes_total": float(self._changes)}
        refused = f"the alert policy of before stays; the one that was edited is refused: {self._fault}"
        return Health(
            name=self.name,
            state="degraded" if self._fault else "ok",
            sentence=refused
            if self._fault
            else "the alert policy on disk is followed"
            if self._known is None
            else "the alert policy that was applied is followed",
            figures=figures,
        )

    def close(self) -> None:
        """Nothing to give back."""

    def _follow(self, content: Content, why: str) -> None:
        path = self._file.path
        try:
            wanted = _policy(path, content)
            if wanted != self._used:
                self._take(wanted)
        except TxwatchError as error:
            self._fault = error.head
            self._audit.record(path.name, "alert policy refused", {"fault": str(error)})
            return
        self._fault = ""
        if wanted != self._used:
            facts = {"reason": why, **_suppressions(self._used, wanted)}
            self._used = wanted
            self._changes += 1
            self._audit.record(path.name, "alert policy in use", facts)


def _suppressions(before: AlertSettings, after: AlertSettings) -> dict[str, str]:
    """Return which suppressions an edit brought, and which it took away."""
    old, new = set(before.suppressions), set(after.suppressions)
    named = {"suppressed": new - old, "no longer suppressed": old - new}
    return {
        what: ", ".join(sorted(f"{each.name} of {each.owner}" for each in found))
        for what, found in named.items()
        if found
    }


def _policy(path: Path, content: Content) -> AlertSettings:
    document = known_document(path, needed(path, content))
    return settings_of(document)
