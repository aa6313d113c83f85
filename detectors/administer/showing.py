"""Versions of the rules as text: a line each, and what one changed."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from txwatch.model import RulesVersion


def state(version: RulesVersion, head: int, blocked: Mapping[str, str]) -> str:
    """Return whether a version is in force, stays out, or is over."""
    if version.version in blocked:
        return "blocked"
    return "in force" if version.number == head else "over"


def line(version: RulesVersion, head: int, blocked: Mapping[str, str]) -> str:
    """Return one version as a line."""
    at = f"{datetime.fromtimestamp(version.at, UTC):%Y-%m-%d %H:%M:%S}"
    found = state(version, head, blocked)
    return f"{version.number:>4}  {at}  {version.version}  {found:8}  {version.actor}: {version.reason}"


def facts(version: RulesVersion, head: int, blocked: Mapping[str, str]) -> dict[str, object]:
    """Return one version for programs, without its content."""
    return {
        "number": version.number,
        "at": datetime.fromtimestamp(version.at, UTC),
        "version": version.version,
        "state": state(version, head, blocked),
        "actor": version.actor,
        "reason": version.reason,
    }


def difference(before: RulesVersion | None, after: RulesVersion) -> str:
    """Return what the second says otherwise, as a unified diff of the file and of the lists beside it."""
    old, new = _files(before), _files(after)
    names = sorted({*old, *new}, key=lambda name: (name != "rules.yaml", name))
    return "".join(
        part
        for name in names
        for part in _diff(
            old.get(name, ""), new.get(name, ""), f"{_number(before)}/{name}", f"{after.number}/{name}"
        )
    )


def counted(diff: str) -> str:
    """Return how long a diff is, in words."""
    lines = [each for each in diff.splitlines() if not each.startswith(("+++", "---"))]
    added, removed = (sum(each.startswith(sign) for each in lines) for sign in "+-")
    return f"{added} lines more, {removed} less"


def _files(version: RulesVersion | None) -> dict[str, str]:
    if version is None:
        return {}
    named = {"rules.yaml": version.content, **version.beside}
    return {name: content.decode("utf-8-sig", errors="replace") for name, content in named.items()}


def _number(version: RulesVersion | None) -> str:
    return "nothing" if version is None else str(version.number)


def _diff(before: str, after: str, old: str, new: str) -> Iterator[str]:
    lines: Sequence[str] = list(difflib.unified_diff(_lines(before), _lines(after), old, new))
    yield from (each if each.endswith("\n") else f"{each}\n" for each in lines)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
