"""Named lists for `in_list(column, 'name')`: written out in `rules.yaml` or in a file beside it."""

from pathlib import Path
from typing import Any

import msgspec

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
    file = beside(document, spec)
    try:
        content = document.beside[spec.file] if spec.file in document.beside else _bytes(file)
        if len(content) > MAX_FILE_BYTES:
            return document.problem((*path, "file"), f"{file} is larger than {MAX_FILE_BYTES:,} bytes")
        return _values(content.decode("utf-8-sig"))
    except OSError as error:
        return document.problem((*path, "file"), f"{file} cannot be read: {error.strerror}")
    except ValueError:
        return document.problem((*path, "file"), f"{file} is not UTF-8 text")


def read_files(document: RulesDocument) -> RulesDocument:
    """Return the document with what stands in its list files, so that they are read once."""
    found = {}
    for spec in list_files(document):
        try:
            found[spec.file] = _bytes(beside(document, spec))
        except OSError:
            continue  # said where the list is read
    return msgspec.structs.replace(document, beside=found)


def list_files(document: RulesDocument) -> list[ListFile]:
    """Return the lists that are files, as far as their shape is right."""
    section = document.section("lists")
    specs = section.values() if isinstance(section, dict) else ()
    return [ListFile(file=spec["file"]) for spec in specs if _is_file(spec)]


def beside(document: RulesDocument, spec: ListFile) -> Path:
    """Return where a list file is: its path is relative to the rules file."""
    return Path(document.file).parent / spec.file


def _is_file(spec: Any) -> bool:
    return isinstance(spec, dict) and isinstance(spec.get("file"), str)


def _bytes(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(MAX_FILE_BYTES + 1)


def _values(text: str) -> frozenset[str]:
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def lists_for_hash(lists: dict[str, frozenset[str]]) -> dict[str, Any]:
    """Return the lists in an order that does not depend on the run."""
    return {name: sorted(values) for name, values in sorted(lists.items())}
