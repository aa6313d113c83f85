"""A file that people edit while processes run: has its content become another, and stays so?"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from txwatch.errors import InputError
from txwatch.rulesfile import read_bytes

GONE = b""
"""In place of what stands in a file that cannot be read."""


class Content(msgspec.Struct, frozen=True):
    """What stands in the file, and what else would make it mean something new."""

    text: bytes
    beside: tuple[tuple[str, int, int], ...] = ()
    """Of each file that it names: its path, when it was changed, its length."""


class WatchedFile:
    """Tells when the content has changed, not when the file was touched.

    A content counts when two looks in turn find the same: what is half written is not taken.
    """

    def __init__(self, path: Path, known: bytes, beside: Sequence[Path] = ()) -> None:
        """`known` is in use; files `beside` it may be large and are compared by time and length."""
        self.path = path
        self._beside = tuple(beside)
        self._known = Content(known, _stamps(self._beside))
        self._last = self._known

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
