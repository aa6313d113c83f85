"""`txwatch doctor`: is everything as it should be, and if not, what to do.

One check is one function that returns a `Finding`; a check that needs a room is handed in by the
command line.
"""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import msgspec

from txwatch.errors import TxwatchError
from txwatch.settings import Settings

LIBRARIES = ("numpy", "numba", "polars", "scikit-learn", "statsmodels", "sqlalchemy", "sqlglot")
LOW_DISK_BYTES = 1_000_000_000


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check saw: `state` is ok, warning or failed; `advice` says what to do."""

    check: str
    state: str
    sentence: str
    advice: str = ""


Check = Callable[[], Finding]


def examine(checks: Sequence[Check]) -> list[Finding]:
    """Run every check; one that raises is itself a finding."""
    return [_run(check) for check in checks]


def healthy(findings: Sequence[Finding]) -> bool:
    """Tell whether nothing failed; warnings are allowed."""
    return all(finding.state != "failed" for finding in findings)


def own_checks(settings: Settings) -> list[Check]:
    """Return the checks that need no room."""
    return [
        check_versions,
        lambda: check_home(settings.home_path),
        lambda: check_disk(settings.home_path),
        lambda: check_clock(settings.home_path, datetime.now(UTC)),
    ]


def check_versions() -> Finding:
    """Which Python and libraries are at work."""
    python = ".".join(map(str, sys.version_info[:3]))
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return Finding(
        check="versions", state="ok", sentence=f"txwatch {version('txwatch')}, Python {python}, {libraries}"
    )


def check_home(home: Path) -> Finding:
    """Whether the folder of the store can be written."""
    existing = _nearest_existing(home)
    if not os.access(existing, os.W_OK):
        return Finding(
            check="home",
            state="failed",
            sentence=f"{existing} cannot be written",
            advice="set TXWATCH_HOME to a folder of your own, or change the folder's owner",
        )
    state = "exists" if home.exists() else "will be made on the first run"
    return Finding(check="home", state="ok", sentence=f"{home} {state}")


def check_disk(home: Path) -> Finding:
    """Whether there is room to go on writing."""
    free = shutil.disk_usage(_nearest_existing(home)).free
    sentence = f"{free / 1e9:.1f} GB free where {home} lies"
    if free >= LOW_DISK_BYTES:
        return Finding(check="disk", state="ok", sentence=sentence)
    return Finding(
        check="disk",
        state="warning",
        sentence=sentence,
        advice="free some space, or shorten `retention` in rules.yaml; a full disk stops ingestion",
    )


def check_clock(home: Path, now: datetime) -> Finding:
    """Whether the clock is behind what was already written."""
    written = [path.stat().st_mtime for path in home.glob("*.db*")] if home.exists() else []
    newest = max((datetime.fromtimestamp(when, UTC) for when in written), default=None)
    if newest is not None and newest > now + timedelta(seconds=5):
        return Finding(
            check="clock",
            state="warning",
            sentence=f"the clock says {now:%Y-%m-%d %H:%M:%S} UTC, but the store was written at "
            f"{newest:%Y-%m-%d %H:%M:%S}",
            advice="synchronise the clock (NTP); arrivals go on counting from the last one until then",
        )
    return Finding(check="clock", state="ok", sentence=f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _run(check: Check) -> Finding:
    try:
        return check()
    except TxwatchError as error:
        return Finding(check="check", state="failed", sentence=str(error))


def _nearest_existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
