"""The rules file after a version was put into force by a command: it says the same, if nothing is lost."""

import os
import tempfile
from pathlib import Path

from txwatch.model import RulesVersion


def write_as(path: Path, wanted: bytes, kept: list[RulesVersion]) -> str:
    """Let the file say what is in force; return a sentence where it cannot, empty where it does.

    What stands there and is no version of the ledger is somebody's work and is left alone.
    """
    try:
        found = path.read_bytes() if path.exists() else None
        if found == wanted:
            return ""
        if found is not None and found not in {version.content for version in kept}:
            return f"{path} has edits that were never in force; it was left as it is"
        _replace(path, wanted)
    except OSError as error:
        return f"{path} still says something else: it cannot be written ({error.strerror})"
    return ""


def _replace(path: Path, wanted: bytes) -> None:
    """Put another content into a file at once; within it where its folder takes no other file."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            file.write(wanted)
            os.fchmod(file.fileno(), path.stat().st_mode & 0o777 if path.exists() else 0o644)
        Path(file.name).replace(path)
    except OSError:
        path.write_bytes(wanted)
