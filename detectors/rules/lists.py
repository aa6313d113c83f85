"""Named lists for `in_list(column, 'name')`: written out in `rules.yaml` or in a file beside it."""

from pathlib import Path
from typing import Any

from detectors.rules.spec import ListFile
from txwatch.problems import Problem
from txwatch.rulesfile import RulesDocument
from txwatch.yamltree import TreePath

MAX_FILE_BYTES = 50_000_000


def read_list(
    document: RulesDocument, path: TreePath, spec: list[str] | ListFile
) -> frozenset[str] | Problem:
    """Return a list's values, or why they cannot be had; a file's path is relative to the rules file."""
    if not isinstance(spec, ListFile):
        return frozenset(spec)
    file = Path(document.file).parent / spec.file
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            return document.problem((*path, "file"), f"{file} is larger than {MAX_FILE_BYTES:,} bytes")
        return _values(content.decode("utf-8-sig"))
    except OSError as error:
        return document.problem((*path, "file"), f"{file} cannot be read: {error.strerror}")
    except ValueError:
        return document.problem((*path, "file"), f"{file} is not UTF-8 text")


def _values(text: str) -> frozenset[str]:
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def lists_for_hash(lists: dict[str, frozenset[str]]) -> dict[str, Any]:
    """Return the lists in an order that does not depend on the run."""
    return {name: sorted(values) for name, values in sorted(lists.items())}
