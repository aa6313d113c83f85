"""The service that says whether the rules file on disk is the one in use, and whether it would be taken."""

from collections.abc import Callable
from pathlib import Path

from txwatch.errors import TxwatchError
from txwatch.ports import Clock, Health, Progress

EVERY_SECONDS = 10.0


class RulesFileService:
    """Looks at the rules file every ten seconds and reads it anew when it changed on disk.

    Nothing is taken over: rules take effect when the detectors start.  It says early what the next start
    would meet: `pending`, other rules; `refused`, a file with faults, with which they would not start.
    """

    name = "rules"

    def __init__(self, path: Path, version: str, read: Callable[[Path], str], clock: Clock) -> None:
        """`version` is in use; `read` returns a file's version, or raises TxwatchError with its faults."""
        self._path, self._version, self._read, self._clock = path, version, read, clock
        self._looked_at = clock.now()
        self._known = _stamp(path)
        self._on_disk, self._fault = version, ""

    def step(self) -> Progress:
        """Look, if it is time."""
        now = self._clock.now()
        if (now - self._looked_at).total_seconds() >= EVERY_SECONDS:
            self._looked_at = now
            self._look()
        return Progress(handled=0, finished=True)

    def health(self) -> Health:
        """Return it, degraded while the file has faults."""
        return Health(
            name=self.name,
            state="degraded" if self._fault else "ok",
            sentence=self._sentence(),
            figures={"pending": float(self._on_disk != self._version), "refused": float(bool(self._fault))},
        )

    def close(self) -> None:
        """Nothing to give back."""

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._known:
            return
        self._known = stamp
        try:
            self._on_disk, self._fault = self._read(self._path), ""
        except (TxwatchError, OSError) as error:
            self._fault = str(error).partition("\n")[0].rstrip(":")

    def _sentence(self) -> str:
        if self._fault:
            return f"rules {self._version} in use; the file on disk is refused: {self._fault}"
        if self._on_disk != self._version:
            return f"rules {self._version} in use; a restart takes {self._on_disk}"
        return f"rules {self._version} in use"


def _stamp(path: Path) -> tuple[int, int]:
    """Return what changes when a file does; zeros for one that is not there."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
