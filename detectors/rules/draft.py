"""A rules file on its way to a rule book: as much of it as could be read, and every problem found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from detectors.published import PUBLISHED
from detectors.rules.features import Feature, FeatureReader
from detectors.rules.kinds import Kind, kind_of
from detectors.rules.lists import read_list
from detectors.rules.message import Message, read_message
from detectors.rules.rule import Rule
from detectors.rules.spec import Currency, Features, FeatureSpec, ListFile, Lists, Rules, RuleSpec
from detectors.rules.sql import Sql, read_sql
from txwatch.problems import Problem, did_you_mean
from txwatch.rulesfile import RulesDocument
from txwatch.sections import section_faults
from txwatch.yamltree import TreePath

COLUMN_KINDS: dict[str, Kind] = {name: kind_of(column.dtype) for name, column in PUBLISHED.items()}
"""The published columns as rules know them."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read of a file; complete when `problems` is empty."""

    document: RulesDocument
    features: tuple[Feature, ...]
    lists: Mapping[str, frozenset[str]]
    rules: tuple[Rule, ...]
    places: tuple[int, ...]
    """Where in the file's list each of `rules` stands."""
    problems: tuple[Problem, ...]

    @property
    def kinds(self) -> dict[str, Kind]:
        """Every name that a rule may read: published columns and declared features."""
        return COLUMN_KINDS | {feature.name: Kind.NUMBER for feature in self.features}


def draft(document: RulesDocument) -> Draft:
    """Read the sections that rules are made of; every problem is in the draft."""
    drafting = _Drafting(document)
    lists = drafting.lists()
    features = drafting.features(lists)
    known = COLUMN_KINDS | dict.fromkeys(drafting.feature_names, Kind.NUMBER)
    rules = drafting.rules(known, lists)
    return Draft(
        document=document,
        features=features,
        lists=lists,
        rules=tuple(rule for _, rule in rules),
        places=tuple(place for place, _ in rules),
        problems=tuple(sorted([*document.problems, *drafting.problems])),
    )


def reread(specs: Sequence[RuleSpec], drafted: Draft) -> tuple[Rule, ...]:
    """Return rules of another file as this one reads them; those that it cannot read are left out."""
    drafting = _Drafting(drafted.document)
    known = drafted.kinds
    return tuple(rule for spec in specs for rule in drafting.rule(0, spec, known, drafted.lists))


class _Drafting:
    """Collects problems while the sections are read."""

    def __init__(self, document: RulesDocument) -> None:
        self._document = document
        self.problems: list[Problem] = []
        self.feature_names: list[str] = []
        self._head()

    def lists(self) -> dict[str, frozenset[str]]:
        """Return the named lists; one that could not be read is empty, and a problem."""
        found: dict[str, frozenset[str]] = {}
        for name, data in self._mapping("lists", Lists):
            spec: list[str] | ListFile = msgspec.convert(data, list[str] | ListFile)
            values = read_list(self._document, ("lists", name), spec)
            if isinstance(values, Problem):
                self.problems.append(values)
            found[name] = values if isinstance(values, frozenset) else frozenset()
        return found

    def features(self, lists: Mapping[str, frozenset[str]]) -> tuple[Feature, ...]:
        """Return the declared features that are right."""
        section = self._document.section("features")
        self.feature_names = list(section) if isinstance(section, dict) else []
        reader = FeatureReader(self._document, COLUMN_KINDS, lists)
        read = [
            reader.read(name, msgspec.convert(data, FeatureSpec))
            for name, data in self._mapping("features", Features)
        ]
        self.problems += reader.problems
        return tuple(feature for feature in read if feature is not None)

    def rules(self, known: Mapping[str, Kind], lists: Mapping[str, frozenset[str]]) -> list[tuple[int, Rule]]:
        """Return the rules that are right, each with its place in the list."""
        section = self._document.section("rules") or []
        if not isinstance(section, list):
            self.problems += section_faults(self._document, ("rules",), section, Rules)
            return []
        found: list[tuple[int, Rule]] = []
        first_place: dict[str, int] = {}
        for place, data in enumerate(section):
            faults = list(section_faults(self._document, ("rules", place), data, RuleSpec))
            self.problems += faults
            if faults:
                self._look_ahead(place, data, known, lists)
            else:
                spec = msgspec.convert(data, RuleSpec)
                self._refuse_repeated(spec.id, first_place.setdefault(spec.id, place), place)
                found += [(place, rule) for rule in self.rule(place, spec, known, lists)]
        return found

    def _head(self) -> None:
        if self._document.section("version") != 1:
            self._add(("version",), "`version` is 1 in this edition", "write `version: 1`")
        currency = self._document.section("base_currency")
        if currency is not None:
            self.problems += section_faults(self._document, ("base_currency",), currency, Currency)

    def _mapping(self, name: str, kind: Any) -> Iterator[tuple[str, Any]]:
        """Yield the entries of a section that have the right shape; the faults of the others are kept."""
        section = self._document.section(name)
        if section is None:
            return
        faults = list(section_faults(self._document, (name,), section, kind))
        self.problems += faults
        if isinstance(section, dict):
            for key, data in section.items():
                if not faults or not list(section_faults(self._document, (name,), {key: data}, kind)):
                    yield key, data

    def _refuse_repeated(self, rule_id: str, first: int, place: int) -> None:
        if first != place:
            line, _ = self._document.position(("rules", first, "id"))
            self._add(("rules", place, "id"), f"the id `{rule_id}` is taken (line {line})")

    def _look_ahead(
        self, place: int, data: object, known: Mapping[str, Kind], lists: Mapping[str, frozenset[str]]
    ) -> None:
        """Find what is wrong with the condition of a rule that is wrong elsewhere already."""
        when = data.get("when") if isinstance(data, dict) else None
        if isinstance(when, str):
            self._condition(("rules", place, "when"), when, known, lists)

    def rule(
        self,
        place: int,
        spec: RuleSpec,
        known: Mapping[str, Kind],
        lists: Mapping[str, frozenset[str]],
    ) -> Iterator[Rule]:
        """Yield the rule, or nothing where something is wrong with it."""
        path: TreePath = ("rules", place)
        when = self._condition((*path, "when"), spec.when, known, lists)
        message = self._message(path, spec, known)
        for key in ("observed", "expected"):
            self._expect_number((*path, key), getattr(spec, key), known)
        if when is not None and message is not None:
            yield Rule(spec=spec, when=when, message=message)

    def _condition(
        self, path: TreePath, text: str, known: Mapping[str, Kind], lists: Mapping[str, frozenset[str]]
    ) -> Sql | None:
        read = read_sql(text, Kind.FLAG, known, lists)
        if isinstance(read, Sql) and read.columns:
            return read
        if isinstance(read, Sql):
            self._add(path, "this looks at no column, so it holds for all transactions or for none")
            return None
        for fault in read:
            inside = (fault.start, fault.end)
            self.problems.append(
                self._document.problem(path, fault.sentence, fault.suggestion, inside=inside)
            )
        return None

    def _message(self, path: TreePath, spec: RuleSpec, known: Mapping[str, Kind]) -> Message | None:
        if spec.message is None:
            return Message(((f"rule {spec.id} holds: {' '.join(spec.when.split())}", None),))
        message = read_message(spec.message, known)
        if isinstance(message, Message):
            return message
        for word, sentence, advice in message:
            start = max(spec.message.find(word), 0)
            inside = (start, start + len(word))
            self.problems.append(self._document.problem((*path, "message"), sentence, advice, inside=inside))
        return None

    def _expect_number(self, path: TreePath, name: str | None, known: Mapping[str, Kind]) -> None:
        if name is None:
            return
        if name not in known:
            self._add(path, f"unknown column `{name}`", did_you_mean(name, known))
        elif known[name] is not Kind.NUMBER:
            self._add(path, f"`{name}` is {known[name].value}, not a number")

    def _add(self, path: TreePath, sentence: str, suggestion: str = "") -> None:
        self.problems.append(self._document.problem(path, sentence, suggestion))
