"""How long a window is, and into which buckets it is cut.

A window of length W is kept in 20 event-time buckets of W / 20 each: the running one and the 19 before
it.  So its value looks back between 95 % and 100 % of W.  The ring holds as many further buckets as 60 s
need, so that a row that late still counts in its own bucket, with its whole window in sight.
"""

import re

from detectors.rules.kernels import ALLOWED_LATENESS_MS

BUCKETS = 20
SHORTEST_MS = 10_000
LONGEST_MS = 30 * 86_400_000

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def read_duration(text: str) -> int | None:
    """Return "10s", "20m", "1h" or "30d" in milliseconds, None when it is none of these."""
    match = re.fullmatch(r"([0-9]{1,9})\s*([smhd])", text.strip())
    return int(match[1]) * _UNITS[match[2]] if match else None


def read_window(text: str) -> int | str:
    """Return the window in milliseconds, or a sentence that says what is wrong with it."""
    length = read_duration(text)
    if length is None:
        return f"`{text}` is no window; write a number and s, m, h or d, for example 20m"
    if not SHORTEST_MS <= length <= LONGEST_MS:
        return f"a window of `{text}` is not between 10s and 30d"
    return length


def bucket_ms(window_ms: int) -> int:
    """Return the length of a bucket in milliseconds."""
    return window_ms // BUCKETS


def slots(window_ms: int) -> int:
    """Return how many buckets the ring holds."""
    return BUCKETS + -(-ALLOWED_LATENESS_MS // bucket_ms(window_ms))
