"""The decorator of every kernel: compiled by numba, kept in a cache that no stale code survives.

numba keeps a compiled function until its own file changes, and misses changes in other files that it
calls.  So the cache folder's name carries a hash of all kernel files and of numba's version.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile on first call (division by zero gives inf or nan, as in numpy), cached on disk."""
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_FOLDER)
    try:
        compiled: Any = njit(cache=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = before
    return cast("Function", compiled)


def cache_folder() -> Path:
    """Return the folder of the compiled kernels of exactly this source."""
    name = f"kernels-{_source_hash()}"
    chosen = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    for parent in (Path(chosen).expanduser() / "txwatch", Path(tempfile.gettempdir()) / "txwatch"):
        folder = parent / name
        if _is_writable(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix="txwatch-kernels-"))


def _source_hash() -> str:
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


_FOLDER = cache_folder()
