"""A file that people edit while processes run: has its content become another, and stays so?"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from txwatch.errors import ConfigurationError, InputError
from txwatch.rulesfile import read_bytes

EVERY_SECONDS = 1.0
"""How often to look."""

GONE = b""
"""In place of what stands in a file that cannot be read."""


class Content(msgspec.Struct, frozen=True):
    """What stands in the file, and what else would make it mean something new."""

    text: bytes
    beside: tuple[tuple[str, int, int], ...] = ()
    """Of each file that it names: its path, when it was changed, its length."""


class WatchedFile:
    """Tells when the content has changed, not when the file was touched.

    Look when it `is_due`.  A content counts when two looks in turn find the same: what is half written
    is not taken.
    """

    def __init__(self, path: Path, known: bytes, beside: Sequence[Path] = ()) -> None:
        """`known` is in use; files `beside` it may be large and are compared by time and length."""
        self.path = path
        self._beside = tuple(beside)
        self._known = Content(known, _stamps(self._beside))
        self._last = self._known
        self._looked_at: float | None = None

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is time to look, and count it as looked at."""
        at = now.timestamp()
        if self._looked_at is not None and at - self._looked_at < EVERY_SECONDS:
            return False
        self._looked_at = at
        return True

    @property
    def unsettled(self) -> bool:
        """Whether the last look found something that the next one has to confirm."""
        return self._last != self._known

    def look(self) -> Content | None:
        """Return the content when it is another than the one known, and was so at the last look."""
        found = Content(_read(self.path), _stamps(self._beside))
        last, self._last = self._last, found
        return found if found == last and found != self._known else None

    def know(self, content: Content, beside: Sequence[Path] | None = None) -> None:
        """Take a content as known, whatever became of it; `beside` if it names other files now."""
        if beside is not None and tuple(beside) != self._beside:
            self._beside = tuple(beside)
            content = Content(content.text, _stamps(self._beside))
        self._known = self._last = content


def needed(path: Path, content: Content) -> bytes:
    """Return the text of a content; raises ConfigurationError where there is none."""
    if content.text == GONE:
        raise ConfigurationError(f"{path} is empty, or cannot be read")
    return content.text


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except InputError:
        return GONE


def _stamps(paths: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    return tuple((str(path), *_stamp(path)) for path in paths)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
