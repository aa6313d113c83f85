"""Wall-clock time as an argument: the real clock here, one advanced by hand in `txwatch.testing`."""

import threading
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock.  `wake` ends a sleep early, so that a stop is answered at once."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait `seconds`, or until `wake` is called."""
        self._woken.wait(seconds)

    def wake(self) -> None:
        """End the current sleep and all later ones."""
        self._woken.set()
