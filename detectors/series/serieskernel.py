"""The decorator of the series' kernels: a cache folder whose name knows these files too.

numba misses changes in other files that a kernel calls, and the baseline's kernels are compiled into
the profile's; so the name of the folder carries a hash of every file in this package.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import njit

from detectors.kernels.compiled import cache_folder

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


def _folder() -> Path:
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    folder = cache_folder() / f"series-{digest.hexdigest()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


_FOLDER = _folder()
