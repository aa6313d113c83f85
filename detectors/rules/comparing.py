"""Which rules detect otherwise than in another file, also through a feature or a list that they read."""

from collections.abc import Mapping
from typing import Any

import msgspec

from detectors.rules.book import definitions
from detectors.rules.draft import Draft, reread
from detectors.rules.former import Former
from detectors.rules.rule import Rule
from detectors.rules.spec import RuleSpec
from detectors.rules.sql import Sql

UNSEEN = ("hits", "misses", "description")
"""Keys of a rule that change nothing that is detected."""
BESIDE = ("base_currency", "detectors", "severity", "calendar")
"""Sections beside the rules that change what is found."""


def former_of(before: Draft, after: Draft) -> Former | None:
    """Return what a change replaced; None if it changed how detectors find or grade."""
    if any(_without_guard(before, name) != _without_guard(after, name) for name in BESIDE):
        return None
    touched = touched_names(before, after)
    old, new = (live_rules(each) for each in (before, after))
    changed = [name for name in {**old, **new} if _differs(old.get(name), new.get(name), touched)]
    same = [old[name].spec for name in changed if name in old and not reads(old[name].when, touched)]
    return Former(changed=tuple(changed), rules=tuple(same))


def former_over(earlier: Former | None, before: Draft, after: Draft) -> Former | None:
    """Return what a change and the one before it, which replaced `earlier`, replaced together."""
    found = former_of(before, after)
    if earlier is None or found is None:
        return None
    touched = touched_names(before, after)
    first = [rule.spec for rule in reread(earlier.rules, before) if not reads(rule.when, touched)]
    second = [spec for spec in found.rules if spec.id not in earlier.changed]
    changed = dict.fromkeys((*earlier.changed, *found.changed))
    return Former(changed=tuple(changed), rules=(*first, *second))


def live_rules(drafted: Draft) -> dict[str, Rule]:
    """Return the rules that alert, by id."""
    return {rule.spec.id: rule for rule in drafted.rules if rule.spec.mode == "live"}


def touched_names(before: Draft, after: Draft) -> frozenset[str]:
    """Return the names of features and lists that are new, gone or mean something else."""
    pairs: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
        (definitions(before), definitions(after)),
        (before.lists, after.lists),
    ]
    return frozenset(name for old, new in pairs for name in {*old, *new} if old.get(name) != new.get(name))


def seen(spec: RuleSpec) -> dict[str, Any]:
    """Return what of a rule counts."""
    return {key: value for key, value in msgspec.structs.asdict(spec).items() if key not in UNSEEN}


def reads(when: Sql, names: frozenset[str]) -> bool:
    """Tell whether a condition reads one of these features or lists."""
    return bool((when.columns | {asked.list for asked in when.memberships}) & names)


def _differs(old: Rule | None, new: Rule | None, touched: frozenset[str]) -> bool:
    if old is None or new is None:
        return True
    return seen(old.spec) != seen(new.spec) or reads(new.when, touched)


def _without_guard(drafted: Draft, section: str) -> Any:
    found = drafted.document.section(section)
    if section != "detectors" or not isinstance(found, dict):
        return found or None
    return {key: value for key, value in found.items() if key != "guard"} or None
