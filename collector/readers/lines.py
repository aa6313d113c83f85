"""A file as lines, in bounded memory, whatever is in it.

A line beyond the longest that a message may have is not kept: its head, length and hash are.
"""

import gzip
import hashlib
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from collector.decode import KEPT_BYTES, LONGEST_MESSAGE
from txwatch.errors import InputError
from txwatch.model import Rejected

BLOCK = 1 << 22
"""Bytes read at once."""
STANDARD_INPUT = "-"


class Oversized(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a line that is too long to be kept."""

    rejected: Rejected


Line = bytes | Oversized


@contextmanager
def open_lines(path: str) -> Iterator["LineStream"]:
    """Open a file, a `.gz` file, or standard input (`-`); raises InputError."""
    if path == STANDARD_INPUT:
        yield LineStream(sys.stdin.buffer, "standard input")  # type: ignore[arg-type]  # it is a buffered reader
        return
    with _opened(path) as file:
        packed = path.lower().endswith(".gz")
        yield LineStream(gzip.GzipFile(fileobj=file) if packed else file, path)


def _opened(path: str) -> io.BufferedReader:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


class Chunked(Protocol):
    """An open binary file."""

    def read1(self, size: int, /) -> bytes:
        """Return the bytes that are there, none at the end; nothing read is lost by a later error."""


class LineStream:
    """Lines without their ends, from an open binary file; lines may be given back."""

    def __init__(self, file: Chunked, name: str) -> None:
        self.name = name
        self._file = file
        self._ready: list[Line] = []
        self._next = 0
        self._tail = b""
        self._ended = False
        self._fault: Exception | None = None
        self._begun = False

    def take(self, most: int) -> list[Line]:
        """Return up to `most` lines, none at the end; raises InputError where the file is damaged."""
        if self._next >= len(self._ready):
            self._ready, self._next = self._read(), 0
        taken = self._ready[self._next : self._next + most]
        self._next += len(taken)
        return taken

    def give_back(self, lines: list[Line]) -> None:
        """Let these lines come again, before the ones that follow them."""
        if lines:
            following = self._ready[self._next :] or self._read()
            self._ready, self._next = [*lines, *following], 0

    @property
    def is_at_end(self) -> bool:
        """Whether nothing comes after the lines taken so far."""
        return self._ended and self._next >= len(self._ready)

    def skip(self, count: int) -> None:
        """Leave out that many lines."""
        while count > 0 and (taken := self.take(count)):
            count -= len(taken)

    def _read(self) -> list[Line]:
        """The lines that end in the next block; none only at the end."""
        while not self._ended:
            block = self._block()
            if not block:
                self._ended = True
                return self._last()
            lines = (self._tail + block).split(b"\n")
            self._tail = lines.pop()
            if len(self._tail) > LONGEST_MESSAGE:
                return [*self._bounded(lines), self._long_line()]
            if lines:
                return self._bounded(lines)
        return []

    def _last(self) -> list[Line]:
        if self._fault is not None:
            raise InputError(f"{self.name} is damaged: {self._fault}") from self._fault
        lines, self._tail = self._tail.split(b"\n"), b""
        return self._bounded(lines if lines[-1] else lines[:-1])

    def _bounded(self, lines: list[bytes]) -> list[Line]:
        """The lines, without the carriage return before a line's end, none longer than a message may be."""
        bounded: list[Line] = [line.removesuffix(b"\r") for line in lines]
        if lines and max(map(len, lines)) > LONGEST_MESSAGE:
            bounded = [
                line.removesuffix(b"\r") if len(line) <= LONGEST_MESSAGE else _oversized([line])
                for line in lines
            ]
        return bounded

    def _long_line(self) -> Oversized:
        """The line whose beginning is the tail: the rest of it is read, measured and let go."""
        return _oversized(self._rest_of_line())

    def _rest_of_line(self) -> Iterator[bytes]:
        yield self._tail
        while block := self._block():
            rest, end, self._tail = block.partition(b"\n")
            yield rest
            if end:
                return
        self._tail = b""

    def _block(self) -> bytes:
        """The next bytes; after a fault, none: what came before it is handed on first."""
        parts: list[bytes] = []
        size = 0
        while size < BLOCK and self._fault is None:
            try:
                part = self._file.read1(BLOCK)
            except (OSError, EOFError, zlib.error) as fault:
                self._fault = fault
                break
            if not part:
                break
            parts.append(part)
            size += len(part)
        return self._without_mark(b"".join(parts))

    def _without_mark(self, block: bytes) -> bytes:
        first, self._begun = not self._begun, True
        return block.removeprefix(b"\xef\xbb\xbf") if first else block


def _oversized(parts: Iterator[bytes] | list[bytes]) -> Oversized:
    digest, head, length = hashlib.sha256(), b"", 0
    for part in parts:
        digest.update(part)
        head = (head + part[:KEPT_BYTES])[:KEPT_BYTES]
        length += len(part)
    sentence = f"the line has {length:,} bytes, at most 1 MiB is read"
    return Oversized(
        rejected=Rejected(
            code="too_large", sentence=sentence, raw=head, length=length, sha256=digest.hexdigest()
        )
    )
