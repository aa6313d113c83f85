"""One ingester a file: an operating system lock that ends with its process, however that ends."""

import fcntl
import os
from pathlib import Path

from txwatch.errors import StoreError, StoreLockedError


class IngestLock:
    """Holds `<store>.lock`; raises StoreLockedError naming the process that holds it already."""

    def __init__(self, store: Path) -> None:
        path = store.with_name(store.name + ".lock")
        try:
            self._file = path.open("a+")
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise StoreLockedError(
                f"{store} is already being ingested into by process {holder}; stop it first, or use another "
                "TXWATCH_HOME"
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Give the lock back; safe to call twice."""
        self._file.close()
