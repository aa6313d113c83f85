"""How fast something goes, over the last seconds."""

from collections import deque

WINDOW_SECONDS = 10.0


class Rate:
    """Counts of the last `WINDOW_SECONDS`; times are seconds of a clock that never steps back."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._counts: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, count: int, at: float) -> None:
        """Note that so many happened by now."""
        self._counts.append((at, count))
        self._sum += count
        self._forget(at)

    def per_second(self, at: float) -> float:
        """Return the mean of the window that ends now, of a shorter one at the beginning."""
        self._forget(at)
        return self._sum / min(WINDOW_SECONDS, max(at - self._began, 1.0))

    def _forget(self, at: float) -> None:
        while self._counts and self._counts[0][0] <= at - WINDOW_SECONDS:
            self._sum -= self._counts.popleft()[1]
