"""What of the rules file counts where an edited file waits for `txwatch rules apply`: what was applied."""

from typing import Protocol

from txwatch.model import RulesVersion
from txwatch.rulesfile import RulesDocument, parse


class Shelf(Protocol):
    """The part of the ledger that keeps the versions: see `txwatch.ledger.rulesshelf`."""

    def head(self) -> tuple[int, str]:
        """Return number and version of what is in force."""

    def newest(self, limit: int = 1) -> list[RulesVersion]:
        """Return the versions that came into force, the newest first."""


class Applied:
    """Asks the ledger for the content that was applied last, and reads it only when there is another."""

    def __init__(self, shelf: Shelf, *, require_apply: bool) -> None:
        self._shelf, self._require_apply = shelf, require_apply
        self._number, self._content = 0, b""
        self._waits = False

    def __call__(self) -> bytes | None:
        """Return that content; None where the file itself counts."""
        number, _ = self._shelf.head()
        if number != self._number:
            (newest,) = self._shelf.newest(1)
            self._number, self._content = newest.number, newest.content
            self._waits = self._require_apply or _needs_second(newest.content)
        return self._content if self._waits else None


def _needs_second(content: bytes) -> bool:
    """Tell whether changes of these rules need a second person: `detectors.guard.second_person`."""
    document = parse(content, "")
    if not isinstance(document, RulesDocument):
        return False
    detectors = document.section("detectors")
    guard = detectors.get("guard") if isinstance(detectors, dict) else None
    return isinstance(guard, dict) and guard.get("second_person", "none") != "none"
