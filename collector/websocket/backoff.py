"""How long to wait before connecting again: pure, so that it is tested without waiting."""

BASE_SECONDS = 0.25
CAP_SECONDS = 30.0


def wait_seconds(attempt: int, luck: float) -> float:
    """Return the wait after the failed `attempt` (from 0), in seconds.

    It doubles with every attempt up to a cap; `luck` (0 to 1) spreads it over its upper half, so that
    many clients do not come back at the same moment.
    """
    return min(CAP_SECONDS, BASE_SECONDS * 2.0 ** min(attempt, 30)) * (0.5 + luck / 2)
