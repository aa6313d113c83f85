"""Waiting for a store that is busy, without blocking: longer after each failure, until one call passes."""

from collections.abc import Callable

from txwatch.errors import StoreError

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 30.0


class Patience:
    """Says when to try again, and what the trouble is, nothing if there is none."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic` gives seconds."""
        self.trouble = ""
        self._monotonic = monotonic
        self._wait = self._retry_at = 0.0

    def may_try(self) -> bool:
        """Tell whether it is time to try."""
        return self._monotonic() >= self._retry_at

    def put_off(self, error: StoreError) -> None:
        """Wait after a failure that may pass; raises any other again."""
        if not error.retryable:
            raise error
        self._wait = min(max(FIRST_WAIT_SECONDS, self._wait * 2), LONGEST_WAIT_SECONDS)
        self._retry_at = self._monotonic() + self._wait
        self.trouble = f"{error}; trying again in {self._wait:.1f} s, nothing is lost"

    def end(self) -> None:
        """Forget the trouble: a call passed."""
        self.trouble, self._wait, self._retry_at = "", 0.0, 0.0
