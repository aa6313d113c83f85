"""`rules.yaml` as data, with the place of every key and value in it.

Read by the rules of YAML 1.2 ("off" and "NO" are text, 10:30 is text), without tags and aliases: what
stands in the file is what is meant.  Any bytes give a document or a list of problems, never an exception.
The sections themselves are validated by the rooms that use them (`txwatch.sections`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from txwatch.errors import InputError
from txwatch.problems import ERROR, Problem, did_you_mean, errors
from txwatch.yamltree import Span, Tree, TreePath, places, read_tree

SECTIONS = (
    "version",
    "base_currency",
    "features",
    "lists",
    "rules",
    "detectors",
    "severity",
    "calendar",
    "alerts",
    "suppressions",
    "retention",
)
MAX_BYTES = 1_000_000


class RulesDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One parsed file: its data, and where each part of it stands."""

    file: str
    source: str
    data: dict[str, Any]
    values: dict[TreePath, Span]
    keys: dict[TreePath, Span]
    problems: tuple[Problem, ...] = ()
    """What the reading itself found: duplicate keys, unknown sections."""
    beside: dict[str, bytes] = {}
    """What stands in the files that it names, by the name used, where that was read already."""

    def section(self, name: str) -> Any:
        """Return the data of a top-level key, None where it is missing."""
        return self.data.get(name)

    def position(self, path: TreePath) -> tuple[int, int]:
        """Return (line, column), from 1, of a value, or of its nearest parent that is there."""
        return _line_and_column(self.source, self._span(path)[0])

    def problem(
        self,
        path: TreePath,
        sentence: str,
        suggestion: str = "",
        *,
        on_key: bool = False,
        inside: Span | None = None,
        level: str = ERROR,
    ) -> Problem:
        """Return a problem at a value, at its key (`on_key`), or at characters `inside` its text."""
        start, end = self.keys.get(path) or self._span(path) if on_key else self._span(path)
        if inside is not None:
            start, end = self._inside(path, inside)
        line, column = _line_and_column(self.source, start)
        first_line = self.source[start:end].split("\n", 1)[0]
        width = max(1, len(first_line))
        return Problem(
            file=self.file,
            line=line,
            column=column,
            sentence=sentence,
            suggestion=suggestion,
            level=level,
            width=width,
        )

    def _span(self, path: TreePath) -> Span:
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (0, 0))

    def _inside(self, path: TreePath, inside: Span) -> Span:
        start, end = self._span(path)
        text = self.data_at(path)
        if not isinstance(text, str):
            return start, end
        where = places(text, self.source, start, end)
        first = where[min(inside[0], len(text))]
        last = where[max(min(inside[1], len(text)) - 1, 0)] + 1
        return first, max(last, first + 1)

    def data_at(self, path: TreePath) -> Any:
        """Return the data at the end of a path; raises KeyError or IndexError where nothing is."""
        found: Any = self.data
        for step in path:
            found = found[step]
        return found


def load(path: Path) -> RulesDocument | list[Problem]:
    """Read and parse a file; raises InputError when it cannot be read at all."""
    return parse(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """Return the file's bytes, at most one more than a rules file may have; raises InputError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def parse(content: bytes, file: str, sections: Sequence[str] = SECTIONS) -> RulesDocument | list[Problem]:
    """Return the document, or every problem that the reading found."""
    document, problems = examine(content, file, sections)
    if document is None or errors(problems):
        return problems
    return document


def examine(
    content: bytes, file: str, sections: Sequence[str] = SECTIONS
) -> tuple[RulesDocument | None, list[Problem]]:
    """Return as much of the document as can be had, and the problems; for showing all of them at once."""
    if len(content) > MAX_BYTES:
        sentence = f"the file is larger than {MAX_BYTES:,} bytes"
        advice = "keep long lists in files of their own: `deny: {file: deny.txt}`"
        return None, [_problem_at(file, "", 0, sentence, advice)]
    try:
        source = content.decode("utf-8-sig")
        tree = read_tree(source)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        return None, [_problem_at(file, before, len(before), "the file is not UTF-8 text here")]
    except yaml.YAMLError as error:
        return None, [_syntax_problem(file, source, error)]
    if tree.data is None:
        return None, [_problem_at(file, source, 0, "the file is empty", f"start with `{sections[0]}:`")]
    if not isinstance(tree.data, dict):
        return None, [
            _problem_at(file, source, 0, f"the file is not a mapping of sections (`{sections[0]}:` ...)")
        ]
    return _document(file, source, tree, sections)


def _document(
    file: str, source: str, tree: Tree, sections: Sequence[str]
) -> tuple[RulesDocument, list[Problem]]:
    faults = [_problem_at(file, source, offset, sentence) for offset, sentence in tree.faults]
    unknown = [
        _problem_at(
            file, source, tree.keys[name,][0], f"unknown section `{name}`", did_you_mean(name, sections)
        )
        for name in tree.data
        if name not in sections
    ]
    problems = sorted([*faults, *unknown])
    document = RulesDocument(
        file=file,
        source=source,
        data={name: value for name, value in tree.data.items() if name in sections},
        values=tree.values,
        keys=tree.keys,
        problems=tuple(problems),
    )
    return document, problems


def _line_and_column(source: str, offset: int) -> tuple[int, int]:
    before = source.rfind("\n", 0, offset)
    return source.count("\n", 0, offset) + 1, offset - before


def _syntax_problem(file: str, source: str, error: yaml.YAMLError) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        sentence, advice = _in_words(error.problem or "not valid YAML")
        return _problem_at(file, source, mark.index if mark else 0, sentence, advice)
    offset = getattr(error, "position", 0)
    return _problem_at(file, source, offset, "a character that YAML does not allow")


def _in_words(problem: str) -> tuple[str, str]:
    """Return what a parser of YAML complains of in words that need no knowledge of parsers, and advice."""
    if "'\\t'" in problem:
        return "a tab stands here", "indent with spaces"
    if problem.startswith("expected <block end>"):
        return "this does not fit the lines before", "indent it exactly as its neighbours"
    if "mapping values are not allowed" in problem:
        return "a second `key: value` in one line, or a wrong indent", "put a text with a colon in quotes"
    if "could not find expected ':'" in problem:
        return "a key without a colon in the lines before", "write `key: value`"
    if "while scanning a quoted" in problem or "found unexpected end of stream" in problem:
        return "a quote that was opened before is never closed", ""
    return problem, ""


def _problem_at(file: str, source: str, offset: int, sentence: str, suggestion: str = "") -> Problem:
    line, column = _line_and_column(source, offset)
    return Problem(file=file, line=line, column=column, sentence=sentence, suggestion=suggestion)
