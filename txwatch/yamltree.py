"""YAML as data with the place of every key and value: a narrow reading without surprises.

By the rules of YAML 1.2, so "off" and "NO" are text and 10:30 is no number; without tags and aliases, and
bounded in depth, so that a small file stays small.  Keys are always text.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

MAX_DEPTH = 20

TreePath = tuple[str | int, ...]
"""The way to a value: ("rules", 3, "when")."""
Span = tuple[int, int]
"""Half-open range of characters in the source."""

_MEANINGS: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"(?:~|null|Null|NULL)?"), lambda _: None),
    (re.compile(r"(?:true|True|TRUE|false|False|FALSE)"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?[0-9]{1,18}"), int),
    (re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"), float),
)


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """Plain data, where its values and keys stand, and the faults that do not stop the reading."""

    data: Any
    values: dict[TreePath, Span]
    keys: dict[TreePath, Span]
    faults: list[tuple[int, str]]
    """(offset, sentence)"""


def read_tree(source: str) -> Tree:
    """Return the tree of a text; an empty text has the data None; raises yaml.YAMLError."""
    composer = _Composer(source)
    try:
        node = composer.get_single_node()
    finally:
        composer.dispose()
    builder = _Builder(source)
    data = None if node is None else builder.build(node, ())
    return Tree(data=data, values=builder.values, keys=builder.keys, faults=builder.faults)


def places(text: str, source: str, start: int, end: int) -> list[int]:
    """Return for each character of a scalar's value (and its end) the offset it has in the source.

    Quotes, escapes, indentation and folded line ends are in the source only: walk both, skipping in
    the source until the characters agree; a space in the value may be a line end in the source.
    """
    found_at: list[int] = []
    at = start
    for letter in text:
        found = at
        while found < end and not _agrees(letter, source[found]):
            found += 1
        at = found if found < end else at
        found_at.append(at)
        at += 1
    return [*found_at, min(at, end)]


class _Composer(yaml.SafeLoader):
    """PyYAML's composer, less what could make a small file large or deep."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it bare
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not used here, write it out", problem_mark=mark)
        if self.depth >= MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested more than {MAX_DEPTH} deep", problem_mark=mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Builder:
    """Turns nodes into plain data and remembers where each stood."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.values: dict[TreePath, Span] = {}
        self.keys: dict[TreePath, Span] = {}
        self.faults: list[tuple[int, str]] = []

    def build(self, node: yaml.Node, path: TreePath) -> Any:
        self.values[path] = _span(node)
        self._refuse_tag(node)
        if isinstance(node, yaml.MappingNode):
            return {key: self.build(value, (*path, key)) for key, value in self._pairs(node, path)}
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return _meaning(node) if isinstance(node, yaml.ScalarNode) else None

    def _pairs(self, node: yaml.MappingNode, path: TreePath) -> Iterator[tuple[str, yaml.Node]]:
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._add(key, "a key is a word, not a list or mapping")
            elif (*path, key.value) in self.keys:
                first = self._source.count("\n", 0, self.keys[(*path, key.value)][0]) + 1
                self._add(key, f"the key `{key.value}` stands here a second time (first in line {first})")
            else:
                self.keys[(*path, key.value)] = _span(key)
                yield key.value, value

    def _refuse_tag(self, node: yaml.Node) -> None:
        if self._source[node.start_mark.index : node.start_mark.index + 1] == "!":
            self._add(node, "tags (`!...`) are not used here")

    def _add(self, node: yaml.Node, sentence: str) -> None:
        self.faults.append((node.start_mark.index, sentence))


def _meaning(node: yaml.ScalarNode) -> Any:
    if node.style is not None:  # quoted, or a block
        return node.value
    for pattern, meaning in _MEANINGS:
        if pattern.fullmatch(node.value):
            return meaning(node.value)
    return node.value


def _span(node: yaml.Node) -> Span:
    return node.start_mark.index, node.end_mark.index


def _agrees(letter: str, written: str) -> bool:
    return letter == written or (letter in " \n" and written in " \n")
