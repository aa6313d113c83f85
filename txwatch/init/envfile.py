"""The file `.env`: read, and added to without touching what stands in it.

It is replaced as a whole by a complete new one that only its owner may read, so a crash leaves the old file.
"""

import os
import secrets
import stat
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from txwatch.errors import ConfigurationError

OWNER_ONLY = 0o600


def read_env(path: Path) -> dict[str, str]:
    """Return the variables of the file, none where it is missing; raises ConfigurationError if unreadable."""
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(_text(path))).items()}


def write_env(path: Path, values: Mapping[str, str]) -> None:
    """Put variables into the file: a line that names one is replaced, others are added at the end.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    rest = dict(values)
    lines = [_line(line, rest) for line in _text(path).splitlines()]
    lines += [f"{name}={value}" for name, value in rest.items()]
    try:
        _replace(path, "".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error


def is_open_to_others(path: Path) -> bool:
    """Tell whether anybody but the owner may read or write the file."""
    return path.exists() and bool(stat.S_IMODE(path.stat().st_mode) & ~OWNER_ONLY)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error


def _line(line: str, rest: dict[str, str]) -> str:
    name = line.removeprefix("export ").partition("=")[0].strip()
    return f"{name}={rest.pop(name)}" if name in rest else line


def _replace(path: Path, text: str) -> None:
    target = path.resolve()
    aside = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
