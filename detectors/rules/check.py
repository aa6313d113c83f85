"""Everything that can be found wrong with a rules file before it counts.

What makes a file unusable is found while it is read (`draft`): syntax, unknown keys, columns, functions and
lists, wrong kinds, repeated ids.  The checks below find what is valid and still not meant.  Each is one
function from a draft to problems, with its line in `CHECKS`.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

from sqlglot import exp

from detectors.rules.bounds import Known, implies, possible
from detectors.rules.domains import TEXTS, known_values
from detectors.rules.draft import Draft, draft
from detectors.rules.examples import run_examples
from detectors.rules.rule import Rule
from detectors.rules.sql import Sql, span_of
from detectors.settings import DetectionSettings, Severities
from txwatch.problems import WARNING, Problem, did_you_mean, errors
from txwatch.rulesfile import examine, read_bytes
from txwatch.sections import section_faults
from txwatch.yamltree import TreePath

Check = Callable[[Draft], Iterator[Problem]]
Sections = Mapping[str, Any]
"""The types of sections that rules are not made of."""

ROOM_SECTIONS: Sections = {"detectors": DetectionSettings, "severity": Severities}
"""Those of this room; the command line adds those of the others."""


def check_file(path: Path, sections: Sections = ROOM_SECTIONS) -> list[Problem]:
    """Return all problems of a file, in the order of its lines; raises InputError when it cannot be read."""
    return check_bytes(read_bytes(path), str(path), sections)


def check_bytes(content: bytes, file: str, sections: Sections = ROOM_SECTIONS) -> list[Problem]:
    """Return all problems of a file's content; files of lists are looked for beside `file`."""
    document, problems = examine(content, file)
    if document is None:
        return problems
    drafted = draft(document)
    found = list(drafted.problems)
    for check in CHECKS:
        if check not in OF_WHOLE_FILES or not errors(found):
            found += check(drafted)
    for name, kind in sections.items():
        if document.section(name) is not None:
            found += section_faults(document, (name,), document.section(name), kind)
    return sorted(set(found))


def never_holds(drafted: Draft) -> Iterator[Problem]:
    """Warn of a condition that no transaction can meet."""
    for place, rule in zip(drafted.places, drafted.rules, strict=True):
        if not possible(rule.when.tree, known_values(drafted, rule)):
            yield _warning(drafted, place, "when", f"rule {rule.spec.id} can never hold")


def always_holds(drafted: Draft) -> Iterator[Problem]:
    """Warn of a condition that every transaction meets."""
    for place, rule in zip(drafted.places, drafted.rules, strict=True):
        if not possible(rule.when.tree, known_values(drafted, rule), wanted=False):
            sentence = f"rule {rule.spec.id} holds for every transaction for which it is known"
            yield _warning(drafted, place, "when", sentence)


def feature_is_idle(drafted: Draft) -> Iterator[Problem]:
    """Warn of a feature that no rule reads: it costs time and memory for nothing."""
    read = frozenset[str]().union(*(rule.columns for rule in drafted.rules))
    for feature in drafted.features:
        if feature.name not in read:
            sentence = f"no rule reads the feature `{feature.name}`"
            yield drafted.document.problem(
                ("features", feature.name), sentence, "remove it", on_key=True, level=WARNING
            )


def list_is_idle(drafted: Draft) -> Iterator[Problem]:
    """Warn of a list that nothing asks for."""
    conditions = [rule.when for rule in drafted.rules]
    for feature in drafted.features:
        conditions += [*feature.filters, *([feature.value] if feature.value else [])]
    asked = {membership.list for sql in conditions for membership in sql.memberships}
    for name in drafted.lists:
        if name not in asked:
            sentence = f"nothing asks for the list `{name}`"
            yield drafted.document.problem(("lists", name), sentence, on_key=True, level=WARNING)


def has_examples(drafted: Draft) -> Iterator[Problem]:
    """Warn of a rule without an example of a hit, or without one of a miss."""
    for place, rule in zip(drafted.places, drafted.rules, strict=True):
        missing = [key for key in ("hits", "misses") if not getattr(rule.spec, key)]
        if missing:
            sentence = f"rule {rule.spec.id} has no examples under {' and '.join(missing)}"
            yield _warning(drafted, place, "id", sentence)


def has_message(drafted: Draft) -> Iterator[Problem]:
    """Warn of a rule that tells the person on call nothing but its condition."""
    for place, rule in zip(drafted.places, drafted.rules, strict=True):
        if rule.spec.message is None:
            sentence = f"rule {rule.spec.id} has no message"
            yield _warning(drafted, place, "id", sentence, 'for example message: "{amount} {currency} ..."')


def overlaps(drafted: Draft) -> Iterator[Problem]:
    """Warn of a rule all of whose hits another rule has too, at least as severe."""
    rules = [
        (place, rule, known)
        for place, rule in zip(drafted.places, drafted.rules, strict=True)
        if possible(rule.when.tree, known := known_values(drafted, rule))
    ]
    for (place, narrow, known), (wide_place, wide, _) in permutations(rules, 2):
        if _is_within(narrow, wide, known) and (place > wide_place or not _is_within(wide, narrow, known)):
            line, _ = drafted.document.position(("rules", wide_place, "id"))
            sentence = (
                f"every hit of {narrow.spec.id} is a hit of {wide.spec.id} (line {line}), as severe or more"
            )
            yield _warning(drafted, place, "when", sentence)


def values_are_known(drafted: Draft) -> Iterator[Problem]:
    """Warn where a column is compared with a word that it never has."""
    for path, sql in _conditions(drafted):
        for node in sql.tree.find_all(exp.EQ, exp.NEQ, exp.In):
            column = next((side for side in node.iter_expressions() if isinstance(side, exp.Column)), None)
            words = TEXTS.get(str(column.name)) if column is not None else None
            for literal in node.iter_expressions():
                if words and isinstance(literal, exp.Literal) and literal.this not in words:
                    yield drafted.document.problem(
                        path,
                        f"`{column}` is never '{literal.this}', only {', '.join(sorted(words))}",
                        did_you_mean(str(literal.this), words),
                        inside=span_of(literal, sql.text),
                        level=WARNING,
                    )


def _conditions(drafted: Draft) -> Iterator[tuple[TreePath, Sql]]:
    """Yield every condition of rules and features, with its place."""
    for place, rule in zip(drafted.places, drafted.rules, strict=True):
        yield ("rules", place, "when"), rule.when
    for feature in drafted.features:
        for key in (feature.kind, "where"):
            path: TreePath = ("features", feature.name, key)
            yield from ((path, sql) for sql in feature.filters if sql.text == _text_at(drafted, path))


def _text_at(drafted: Draft, path: TreePath) -> str:
    try:
        return str(drafted.document.data_at(path)).strip()
    except KeyError:
        return ""


def examples_do_what_they_say(drafted: Draft) -> Iterator[Problem]:
    """Report examples that are not hit, or not missed, as they say."""
    yield from run_examples(drafted)


CHECKS: tuple[Check, ...] = (
    never_holds,
    always_holds,
    feature_is_idle,
    list_is_idle,
    has_examples,
    has_message,
    overlaps,
    values_are_known,
    examples_do_what_they_say,
)
"""Every check of a file that could be read; `docs/rules.md` lists them."""

OF_WHOLE_FILES = (feature_is_idle, list_is_idle)
"""Checks that say nothing of use while something is refused: it may be what reads the feature."""


def _is_within(narrow: Rule, wide: Rule, known: Known) -> bool:
    scope = ("min_baseline", "hours", "entity", "mode")
    same_scope = all(getattr(narrow.spec, key) == getattr(wide.spec, key) for key in scope)
    return (
        same_scope and narrow.severity <= wide.severity and implies(narrow.when.tree, wide.when.tree, known)
    )


def _warning(drafted: Draft, place: int, key: str, sentence: str, suggestion: str = "") -> Problem:
    return drafted.document.problem(("rules", place, key), sentence, suggestion, level=WARNING)
