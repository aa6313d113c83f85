"""Where notifications go.  Each channel says in its docstring what a crash can do to it."""

import json
import os
from pathlib import Path
from typing import Protocol, TextIO

import msgspec

from alerts.message import headline
from txwatch.errors import InputError
from txwatch.model import Anomaly


class Channel(Protocol):
    """Takes notifications in the order of their numbers in the discovery queue."""

    def send(self, number: int, anomaly: Anomaly) -> None:
        """Deliver; returns when it is delivered as firmly as this channel can."""

    def close(self) -> None:
        """Give back resources; safe to call twice."""


class ConsoleChannel:
    """Prints one line a notification.  After a crash the last ones may be printed again."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def send(self, number: int, anomaly: Anomaly) -> None:
        """Print the headline."""
        del number  # a person reads the headline; the number is for programs
        self._stream.write(headline(anomaly) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the stream to its owner."""


class FileChannel:
    """Appends one JSON object a line, each exactly once.

    1. A line carries its number in the queue; lines are synced to disk before the queue moves on.
    2. On opening, a half-written last line is cut off and the last number read back.
    3. A number that is already there is not written again, so a crash between 1 and the queue's
       commit leaves neither a gap nor a double.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise InputError(f"cannot write alerts to {path}: {error.strerror}") from error
        self._last = self._recover()

    def send(self, number: int, anomaly: Anomaly) -> None:
        """Append and sync, unless this number is in the file already."""
        if number <= self._last:
            return
        line = {"number": number, "headline": headline(anomaly), "anomaly": msgspec.to_builtins(anomaly)}
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._last = number

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _recover(self) -> int:
        self._file.seek(0)
        last, end = 0, 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            last = json.loads(line)["number"]
        self._file.truncate(end)
        return last
