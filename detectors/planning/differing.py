"""What one rules file means otherwise than another: thresholds, windows, scopes, and what must warm up."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from detectors.rules.book import definitions
from detectors.rules.comparing import live_rules, reads, seen, touched_names
from detectors.rules.draft import Draft
from detectors.rules.features import Feature
from detectors.rules.spec import RuleSpec
from txwatch.model import Severity

Sign = Literal["+", "-", "~"]
SETTINGS = ("base_currency", "detectors", "severity", "calendar", "alerts", "suppressions", "retention")
UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"))


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is otherwise: added, taken away, or changed."""

    sign: Sign
    what: str
    """Such as `rule velocity-burst`."""
    sentence: str = ""


def differences(before: Draft, after: Draft) -> list[Difference]:
    """Return everything that is otherwise, features first, since rules rest on them."""
    return [
        *_features(before, after),
        *_lists(before, after),
        *_rules(before, after),
        *(each for name in SETTINGS for each in _settings(name, before, after)),
    ]


def changed_rules(before: Draft, after: Draft) -> list[str]:
    """Return the ids of rules that are new or detect otherwise, also through a feature or a list."""
    old, new, touched = live_rules(before), live_rules(after), touched_names(before, after)
    return [
        name
        for name, rule in new.items()
        if name not in old or seen(old[name].spec) != seen(rule.spec) or reads(rule.when, touched)
    ]


def severe_changes(before: Draft, after: Draft) -> list[str]:
    """Return what differs that is severe: rules that are or were high or more, and settings of detection."""
    old, new, touched = live_rules(before), live_rules(after), touched_names(before, after)
    severe = [
        f"rule {name}"
        for name in {**old, **new}
        if any(rules[name].severity >= Severity.HIGH for rules in (old, new) if name in rules)
        if name not in old
        or name not in new
        or seen(old[name].spec) != seen(new[name].spec)
        or reads(new[name].when, touched)
    ]
    settings = (each.what for name in ("detectors", "severity") for each in _settings(name, before, after))
    return [*severe, *settings]


def length(milliseconds: int) -> str:
    """Return a window as people write it."""
    for unit, word in UNITS:
        if milliseconds % unit == 0:
            return f"{milliseconds // unit}{word}"
    return f"{milliseconds}ms"


def _features(before: Draft, after: Draft) -> Iterator[Difference]:
    old = {feature.name: feature for feature in before.features}
    known, words = set(definitions(before).values()), definitions(after)
    old_words = definitions(before)
    for feature in after.features:
        name, what = feature.name, f"feature {feature.name}"
        kept = words[name] in known
        if name not in old:
            yield Difference(sign="+", what=what, sentence=_state(feature, kept=kept))
        elif old_words[name] != words[name]:
            sentence = f"{_worded(old[name])} -> {_worded(feature)}; {_state(feature, kept=kept)}"
            yield Difference(sign="~", what=what, sentence=sentence)
    gone = [name for name in old if name not in words]
    yield from (Difference(sign="-", what=f"feature {name}") for name in gone)


def _state(feature: Feature, *, kept: bool) -> str:
    if kept:
        return "what it knows under another name is kept"
    return f"it begins empty and is whole after {length(feature.window_ms)}"


def _worded(feature: Feature) -> str:
    of = feature.value.text if feature.value is not None else feature.column or ""
    where = " and ".join(sql.text for sql in feature.filters)
    parts = [feature.kind, of, f"where {where}" if where else "", f"by {'+'.join(feature.by)}"]
    return " ".join(part for part in [*parts, f"in {length(feature.window_ms)}"] if part)


def _lists(before: Draft, after: Draft) -> Iterator[Difference]:
    for name in sorted({*before.lists, *after.lists}):
        old, new = before.lists.get(name, frozenset()), after.lists.get(name, frozenset())
        if old != new:
            sentence = f"{len(new - old):,} more, {len(old - new):,} less, {len(new):,} now"
            yield Difference(sign="~", what=f"list {name}", sentence=sentence)


def _rules(before: Draft, after: Draft) -> Iterator[Difference]:
    old = {rule.spec.id: rule.spec for rule in before.rules}
    new = {rule.spec.id: rule.spec for rule in after.rules}
    for name, spec in new.items():
        if name not in old:
            sentence = f"{spec.severity}, {spec.mode}: {_flat(spec.when)}"
            yield Difference(sign="+", what=f"rule {name}", sentence=sentence)
        else:
            yield from _rule(old[name], spec)
    yield from (Difference(sign="-", what=f"rule {name}") for name in old if name not in new)


def _rule(before: RuleSpec, after: RuleSpec) -> Iterator[Difference]:
    old, new = seen(before), seen(after)
    for key in new:
        if old[key] != new[key]:
            yield Difference(
                sign="~", what=f"rule {after.id}", sentence=f"{key}: {_flat(old[key])} -> {_flat(new[key])}"
            )


def _settings(name: str, before: Draft, after: Draft) -> Iterator[Difference]:
    old, new = dict(_leaves(name, before)), dict(_leaves(name, after))
    for path in sorted({*old, *new}):
        if old.get(path) != new.get(path):
            sentence = f"{_flat(old.get(path, 'as shipped'))} -> {_flat(new.get(path, 'as shipped'))}"
            yield Difference(sign="~", what=path, sentence=sentence)


def _leaves(name: str, drafted: Draft) -> Iterator[tuple[str, Any]]:
    yield from _inside(name, drafted.document.section(name))


def _inside(path: str, data: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from _inside(f"{path}.{key}", value)
    elif data is not None:
        yield path, data


def _flat(value: Any) -> str:
    return " ".join(str(value).split())
