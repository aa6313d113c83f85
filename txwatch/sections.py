"""A section of `rules.yaml` against the struct that describes it, with every fault at its place.

msgspec itself stops at the first fault and knows no lines; here each field is converted on its own, so
that one look shows all faults, and an unknown key gets the nearest known one as a suggestion.
"""

import enum
import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from txwatch.problems import Problem, did_you_mean
from txwatch.rulesfile import RulesDocument
from txwatch.yamltree import TreePath

T = TypeVar("T")

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping (key: value)",
    "null": "nothing",
}


def read_section(document: RulesDocument, path: TreePath, kind: type[T], default: T) -> T | list[Problem]:
    """Return the data at `path` as `kind`, or its faults; `default` where nothing stands there."""
    try:
        data = document.data_at(path)
    except (KeyError, IndexError):
        return default
    if data is None:
        return default
    faults = list(section_faults(document, path, data, kind))
    return faults or msgspec.convert(data, kind)


def section_faults(document: RulesDocument, path: TreePath, data: Any, kind: Any) -> Iterator[Problem]:
    """Yield every way in which `data`, standing at `path`, is not of `kind`."""
    found = False
    for problem in _inner_faults(document, path, data, kind):
        found = True
        yield problem
    if not found:
        yield from _own_fault(document, path, data, kind)


def _inner_faults(document: RulesDocument, path: TreePath, data: Any, kind: Any) -> Iterator[Problem]:
    for member in _members(kind):
        if isinstance(data, dict) and _is_struct(member):
            yield from _struct_faults(document, path, data, member)
        elif isinstance(data, dict) and get_origin(member) is dict:
            key_kind, value_kind = get_args(member)
            for key, value in data.items():
                yield from _key_fault(document, (*path, key), key, key_kind)
                yield from section_faults(document, (*path, key), value, value_kind)
        elif isinstance(data, list) and get_origin(member) in {list, tuple, set, frozenset}:
            for i, item in enumerate(data):
                yield from section_faults(document, (*path, i), item, get_args(member)[0])


def _struct_faults(
    document: RulesDocument, path: TreePath, data: dict[str, Any], kind: Any
) -> Iterator[Problem]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key, value in data.items():
        if key in fields:
            yield from section_faults(document, (*path, key), value, fields[key].type)
        else:
            yield document.problem(
                (*path, key), f"unknown key `{key}`", did_you_mean(key, fields), on_key=True
            )
    for name, field in fields.items():
        if field.required and name not in data:
            yield document.problem(path, f"`{name}` is missing", on_key=True)


def _key_fault(document: RulesDocument, path: TreePath, key: str, kind: Any) -> Iterator[Problem]:
    try:
        msgspec.convert(key, kind)
    except msgspec.ValidationError as error:
        yield document.problem(path, _described(key, kind) or _plain(str(error)), on_key=True)


def _own_fault(document: RulesDocument, path: TreePath, data: Any, kind: Any) -> Iterator[Problem]:
    try:
        msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        choices = _choices(kind)
        if choices and isinstance(data, str):
            sentence = f"`{data}` is none of {', '.join(choices)}"
            yield document.problem(path, sentence, did_you_mean(data, choices))
        else:
            sentence = _described(data, kind) or _plain(str(error))
            yield document.problem(path, sentence, _advice(data, kind))


def _members(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in {Union, types.UnionType}:
        return tuple(inner for member in get_args(kind) for inner in _members(member))
    return (kind,)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _choices(kind: Any) -> list[str]:
    words: list[str] = []
    for member in _members(kind):
        if get_origin(member) is Literal:
            words += [str(word) for word in get_args(member)]
        elif isinstance(member, type) and issubclass(member, enum.Enum):
            words += [str(choice.value) for choice in member]
    return words


def _described(data: Any, kind: Any) -> str:
    """Say what a text should have been, where its type carries a description instead of a bare pattern."""
    if not isinstance(data, str):
        return ""
    metas = [meta for meta in _metas(kind) if meta.pattern and meta.description]
    return f"`{data}` is not {metas[0].description}" if metas else ""


def _metas(kind: Any) -> list[msgspec.Meta]:
    if get_origin(kind) is Annotated:
        return [meta for meta in kind.__metadata__ if isinstance(meta, msgspec.Meta)]
    if get_origin(kind) in {Union, types.UnionType}:
        return [meta for member in get_args(kind) for meta in _metas(member)]
    return []


def _advice(data: Any, kind: Any) -> str:
    if str in _members(kind) and isinstance(data, int | float):
        return "put it in quotes"
    return ""


def _plain(sentence: str) -> str:
    sentence = re.sub(r" - at `[^`]*`$", "", sentence)
    sentence = re.sub(r"`([a-z| ]+)`", lambda match: _in_words(match[1]), sentence)
    return sentence[:1].lower() + sentence[1:]


def _in_words(kinds: str) -> str:
    return " or ".join(_WORDS.get(kind, f"`{kind}`") for kind in kinds.split(" | "))
