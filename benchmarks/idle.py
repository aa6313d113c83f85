"""When a machine has come to rest: what a server still does with what came before is not what is measured."""

import os
import time
from pathlib import Path

LOOK_SECONDS = 5.0
LOOKS = 6
"""So many looks in a row."""
BUSY_SHARE = 0.1
"""Of one core."""


def wait_until_idle(within: float) -> float:
    """Wait until this machine does next to nothing for half a minute; returns how many seconds that took.

    Raises SystemExit where it does not come to rest within so many seconds.  Linux only (`proc(5)`).
    """
    began, quiet = time.monotonic(), 0
    while quiet < LOOKS:
        before = _busy_seconds()
        time.sleep(LOOK_SECONDS)
        share = (_busy_seconds() - before) / LOOK_SECONDS
        quiet = quiet + 1 if share < BUSY_SHARE else 0
        if time.monotonic() - began > within:
            raise SystemExit(f"{within:.0f} seconds on, this machine still uses {share:.2f} of a core")
    return time.monotonic() - began


def _busy_seconds() -> float:
    """Return how long cores were busy since boot, all together."""
    words = Path("/proc/stat").read_text().partition("\n")[0].split()
    user, nice, system, _, _, irq, softirq = (int(word) for word in words[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
