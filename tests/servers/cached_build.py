"""Things that take minutes to build, kept in a folder outside the checkout and built only once.

A build happens in a folder of its own that is renamed when it is complete, under a lock: two
processes never build the same thing, and an interrupted build leaves nothing that looks finished.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class ServerUnavailableError(Exception):
    """A real server cannot be had on this machine; the message says what is missing."""


def cache_folder() -> Path:
    """Return where built servers are kept: TXWATCH_SERVER_CACHE, else the user's cache folder."""
    chosen = os.environ.get("TXWATCH_SERVER_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "txwatch" / "servers"


def built(name: str, build: Callable[[Path, Path], None]) -> Path:
    """Return the folder `name` of the cache, calling `build(folder, log)` first if it is not there yet."""
    finished = cache_folder() / name
    if finished.is_dir():
        return finished
    finished.parent.mkdir(parents=True, exist_ok=True)
    with _lock(finished.with_name(f"{name}.lock")):
        if not finished.is_dir():
            _build_aside(finished, build)
    return finished


def is_built(name: str) -> bool:
    """Tell whether `built` would return at once."""
    return (cache_folder() / name).is_dir()


def needs(*tools: str) -> None:
    """Raise ServerUnavailableError naming the tools that this machine lacks."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise ServerUnavailableError(
            f"no container engine runs here, and to build it {', '.join(missing)} is missing"
        )


def _build_aside(finished: Path, build: Callable[[Path, Path], None]) -> None:
    aside = finished.with_name(f"{finished.name}.building")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    log = finished.with_name(f"{finished.name}.log")
    log.write_bytes(b"")
    say(f"building {finished.name}, once; log in {log}")
    build(aside, log)
    aside.rename(finished)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is building {path.stem}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(sentence: str) -> None:
    """Tell a person what takes so long."""
    print(f"servers: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - a script's progress, on stderr
