"""The rule book: the rules of one file, evaluated for a whole micro-batch at a time.

    1. Evaluate the filters and values of the declared features.
    2. Move their windows on; the features are columns from here on.
    3. Evaluate all conditions; what several of them share is worked out once; null is no hit.

A rule that raises is set aside and named by `faults`; the others go on.  Cutting the feed into other
batches changes nothing.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl

from detectors.rulebook import BuiltIns, EntityRows
from detectors.rules.batch import Batch
from detectors.rules.draft import Draft, draft, reread
from detectors.rules.features import Feature
from detectors.rules.former import Former
from detectors.rules.hits import Hits
from detectors.rules.inputs import input_of
from detectors.rules.lists import lists_for_hash
from detectors.rules.rule import Rule
from detectors.rules.windows import Standing, Windows
from detectors.types import Flags, Floats
from txwatch.errors import SnapshotError
from txwatch.model import Reason
from txwatch.problems import Problem, errors
from txwatch.rulesfile import RulesDocument

NOTHING: BuiltIns = {}

FORMAT = 2
"""Of the state in a dump, and of what the same words in a file mean."""


class RuleBook:
    """The rules in force, with the state of the windows that they declare."""

    def __init__(self, drafted: Draft, version: str, former: Former | None = None) -> None:
        """Take the rules of a draft without errors and its `version_of`; see `compile_rules`.

        What was there before, `former`, is evaluated too, for the comparison.
        """
        self._features = drafted.features
        self._lists = drafted.lists
        self._live = tuple(rule for rule in drafted.rules if rule.spec.mode == "live")
        self._shadow = tuple(rule for rule in drafted.rules if rule.spec.mode == "shadow")
        self._former, self._kept = _former(drafted, former, self._live)
        self._rules = self._live + self._shadow + self._former
        self._conditions = [rule.condition() for rule in self._rules]
        self._inputs = {feature.name: input_of(feature) for feature in self._features}
        self._windows = Windows(self._features, definitions(drafted))
        self._set_aside: dict[int, str] = {}
        self.version = version
        self.columns = _columns(self._features, self._rules)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that are evaluated: live, then shadow."""
        return self._live + self._shadow

    def step(self, frame: pl.DataFrame, rows: EntityRows, built_ins: BuiltIns = NOTHING) -> Hits:
        """Move the windows on by these rows and return what holds for each.

        Args:
            frame: has those of `columns` that are no `built_ins`, in feed order.
            rows: the dense row number of each row's entity, by id column, for the entities whose rows
                the engine keeps; always for the same id columns.
            built_ins: columns of numbers and flags, by name.
        """
        batch = Batch(frame, rows, self._lists)
        batch.add(built_ins)
        with np.errstate(all="ignore"):  # what overflows or has no value is NaN, which is null
            features = self._step_features(batch, frame, rows)
            batch.add(features)
            matrix = self._evaluate(batch)
        live = len(self._live)
        both = live + len(self._shadow)
        shadow = Hits(matrix=matrix[:, live:both], rules=self._shadow, features=features)
        former = None
        if self._kept is not None:
            held = np.hstack([matrix[:, self._kept], matrix[:, both:]])
            rules = tuple(self._live[place] for place in self._kept) + self._former
            former = Hits(matrix=held, rules=rules, features=features)
        return Hits(
            matrix=matrix[:, :live], rules=self._live, features=features, shadow=shadow, former=former
        )

    def reasons(self, hits: Hits, i: int, values: Mapping[str, object]) -> list[Reason]:
        """Return one reason for each rule that holds for row `i`, the severest first."""
        found = [rule for rule, holds in zip(hits.rules, hits.matrix[i], strict=True) if holds]
        if not found:
            return []
        values = {**values, **_features_of(hits, i)}
        found.sort(key=lambda rule: -rule.severity)
        return [_reason(rule, values) for rule in found]

    def faults(self) -> list[str]:
        """Return a sentence for each rule that was set aside, since it failed while it was evaluated."""
        return [
            f"rule {self._rules[place].spec.id} is set aside until the next change of rules.yaml: {why}"
            for place, why in sorted(self._set_aside.items())
            if place < len(self.rules)
        ]

    def set_aside(self) -> list[str]:
        """Return the ids of the rules that were set aside."""
        return [self._rules[place].spec.id for place in sorted(self._set_aside) if place < len(self.rules)]

    def dump(self) -> bytes:
        """Return the state of the windows."""
        return msgspec.msgpack.encode({"format": FORMAT, "windows": self._windows.dump()})

    def restore(self, payload: bytes) -> None:
        """Take over the state of a dump: features that are defined otherwise begin anew.

        So do all when the dump comes from another edition.  Raises SnapshotError when it is none.
        """
        try:
            state = msgspec.msgpack.decode(payload)
            if state["format"] == FORMAT:
                self._windows.restore(state["windows"])
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"the state of the rules cannot be read: {error}") from error

    def standing(self) -> Standing:
        """Return where the windows are, for the book that follows; this one is used no longer then."""
        return self._windows.standing()

    def take_over(self, other: "RuleBook") -> list[str]:
        """Go on where another book stands; return the names of the features that begin anew."""
        return self._windows.take_over(other.standing())

    def _step_features(self, batch: Batch, frame: pl.DataFrame, rows: EntityRows) -> dict[str, Floats]:
        inputs = {name: read(batch) for name, read in self._inputs.items()}
        return self._windows.step(frame, inputs, rows)

    def _evaluate(self, batch: Batch) -> Flags:
        matrix = np.zeros((len(batch), len(self._rules)), np.bool_, order="F")
        for place, holds in enumerate(self._conditions):
            if place not in self._set_aside:
                try:
                    matrix[:, place] = holds(batch)
                except Exception as error:  # noqa: BLE001  # one rule's failure must not stop the others
                    self._set_aside[place] = f"{type(error).__name__}: {error}".split("\n", 1)[0]
        return matrix


def compile_rules(document: RulesDocument) -> RuleBook | list[Problem]:
    """Return the rule book of a document, or every error for which it is refused."""
    drafted = drafted_rules(document)
    return drafted if isinstance(drafted, list) else RuleBook(drafted, version_of(drafted))


def drafted_rules(document: RulesDocument) -> Draft | list[Problem]:
    """Return the draft from which rule books are made, or every error for which it is refused."""
    drafted = draft(document)
    return errors(drafted.problems) or drafted


def version_of(drafted: Draft) -> str:
    """Return a hash of everything in a file that detects: other hits or scores, other version."""
    data = drafted.document.data
    rules = [
        {key: value for key, value in rule.items() if key not in {"hits", "misses"}}
        for rule in data.get("rules") or []
    ]
    content = {
        "format": FORMAT,
        "base_currency": data.get("base_currency"),
        "features": data.get("features") or {},
        "lists": lists_for_hash(dict(drafted.lists)),
        "rules": rules,
        **{name: data.get(name) for name in ("detectors", "severity", "calendar")},
    }
    return _hash(content)


def definitions(drafted: Draft) -> dict[str, str]:
    """Return by name what each feature is, in a word of its own that is the same in every file."""
    found: dict[str, str] = {}
    for feature in drafted.features:
        word = _hash(_definition(feature, drafted.lists))
        found[feature.name] = f"{word}-{sum(each.startswith(word) for each in found.values())}"
    return found


def _former(
    drafted: Draft, former: Former | None, live: Sequence[Rule]
) -> tuple[tuple[Rule, ...], list[int] | None]:
    """Return the rules of before that are others now, and the places of those that are the same."""
    if former is None:
        return (), None
    kept = [place for place, rule in enumerate(live) if rule.spec.id not in former.changed]
    return reread(former.rules, drafted), kept


def _reason(rule: Rule, values: Mapping[str, object]) -> Reason:
    spec = rule.spec
    size = values.get(rule.baseline) if spec.expected else None
    return Reason(
        code=spec.id,
        sentence=rule.message.fill(values),
        detector="rules",
        type=rule.type,
        entity_kind=spec.entity,
        observed=_number(values.get(spec.observed or "")),
        expected=_number(values.get(spec.expected or "")),
        baseline_size=int(size) if isinstance(size, int | float) else None,
        baseline_level="entity" if spec.expected else None,
        facts={"severity": spec.severity, "tags": list(spec.tags), **rule.facts(values)},
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _features_of(hits: Hits, i: int) -> dict[str, float | None]:
    values = {name: float(column[i]) for name, column in hits.features.items()}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _columns(features: Sequence[Feature], rules: Sequence[Rule]) -> frozenset[str]:
    declared = {feature.name for feature in features}
    read = frozenset({"timestamp"}).union(*(feature.columns for feature in features))
    return read.union(*(rule.columns for rule in rules)) - declared


def _definition(feature: Feature, lists: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    read = [sql for sql in (*feature.filters, feature.value) if sql is not None]
    named = {asked.list for sql in read for asked in sql.memberships}
    return {
        "kind": feature.kind,
        "by": feature.by,
        "window": feature.window_ms,
        "filters": [sql.text for sql in feature.filters],
        "value": None if feature.value is None else feature.value.text,
        "column": feature.column,
        "lists": lists_for_hash({name: lists[name] for name in named}),
    }


def _hash(content: Any) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()
