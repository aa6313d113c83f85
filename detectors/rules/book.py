"""The rule book: the rules of one file, evaluated for a whole micro-batch at a time.

    1. Prepare the columns that rules read: numbers as Float64, NaN as null; look up the named lists.
    2. Move the windows of the declared features on; their values are columns from here on.
    3. Evaluate all conditions in one polars selection; null is no hit.

A rule that raises is set aside and named by `faults`; the others go on.  Cutting the feed into other
batches changes nothing.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.rulebook import EntityRows
from detectors.rules.draft import COLUMN_KINDS, Draft, draft
from detectors.rules.features import Feature
from detectors.rules.inputs import FeatureInputs
from detectors.rules.kinds import as_kind
from detectors.rules.lists import lists_for_hash
from detectors.rules.rule import Rule
from detectors.rules.sql import Membership
from detectors.rules.windows import Windows
from txwatch.errors import SnapshotError
from txwatch.model import Reason
from txwatch.problems import Problem, errors
from txwatch.rulesfile import RulesDocument

FORMAT = 1
"""Of the state in a dump, and of what the same words in a file mean."""


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """Which rules hold for which rows of one frame.

    The rules are the live ones; `shadow` has those that are only watched, in the same form.
    """

    matrix: npt.NDArray[np.bool_]
    """Shape (rows, rules)."""
    rules: tuple[Rule, ...]
    features: pl.DataFrame
    """The declared features of each row."""
    shadow: "Hits | None" = None

    @property
    def ids(self) -> Sequence[str]:
        """Shape (rules,): the rules' ids, in the order of the matrix."""
        return [rule.spec.id for rule in self.rules]

    @property
    def severities(self) -> npt.NDArray[np.int8]:
        """Shape (rules,): the floor that a hit puts under the anomaly."""
        return np.array([int(rule.severity) for rule in self.rules], dtype=np.int8)


class RuleBook:
    """The rules in force, with the state of the windows that they declare."""

    def __init__(self, drafted: Draft) -> None:
        """Take the rules of a draft without errors; see `compile_rules`."""
        self._features = drafted.features
        self._lists = drafted.lists
        self._live = tuple(rule for rule in drafted.rules if rule.spec.mode == "live")
        self._shadow = tuple(rule for rule in drafted.rules if rule.spec.mode == "shadow")
        self._rules = self._live + self._shadow
        self._conditions = [rule.condition.alias(rule.spec.id) for rule in self._rules]
        self._memberships = _memberships(self._features, self._rules)
        self._inputs = FeatureInputs(self._features)
        self._windows = Windows(self._features)
        self._set_aside: dict[int, str] = {}
        self.version = _version(drafted)
        self.columns = _columns(self._features, self._rules)
        self._prepared = [as_kind(name, COLUMN_KINDS[name]) for name in sorted(self.columns)]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that are evaluated: live, then shadow."""
        return self._rules

    def step(self, frame: pl.DataFrame, rows: EntityRows) -> Hits:
        """Move the windows on by these rows and return what holds for each.

        Args:
            frame: has `columns`, in feed order.
            rows: the dense row number of each row's entity, by id column, for the entities whose rows
                the engine keeps; always for the same id columns.
        """
        table = frame.select(self._prepared)
        table = table.with_columns(*(self._is_member(table, asked) for asked in self._memberships))
        features = self._feature_values(table, rows)
        matrix = self._evaluate(table.hstack(features))
        count = len(self._live)
        shadow = Hits(matrix=matrix[:, count:], rules=self._shadow, features=features)
        return Hits(matrix=matrix[:, :count], rules=self._live, features=features, shadow=shadow)

    def reasons(self, hits: Hits, i: int, frame: pl.DataFrame) -> list[Reason]:
        """Return one reason for each rule that holds for row `i`, the severest first."""
        found = [rule for rule, holds in zip(hits.rules, hits.matrix[i], strict=True) if holds]
        if not found:
            return []
        values = frame.row(i, named=True) | _row(hits.features, i)
        found.sort(key=lambda rule: -rule.severity)
        return [_reason(rule, values) for rule in found]

    def faults(self) -> list[str]:
        """Return a sentence for each rule that was set aside, since it failed while it was evaluated."""
        return [
            f"rule {self._rules[place].spec.id} is set aside until the next change of rules.yaml: {why}"
            for place, why in sorted(self._set_aside.items())
        ]

    def dump(self) -> bytes:
        """Return the state of the windows."""
        state = {"format": FORMAT, "version": self.version, "windows": self._windows.dump()}
        return msgspec.msgpack.encode(state)

    def restore(self, payload: bytes) -> None:
        """Take over the state of a dump by the same version; raises SnapshotError when it is not."""
        try:
            state = msgspec.msgpack.decode(payload)
            same = (state["format"], state["version"]) == (FORMAT, self.version)
            if same:
                self._windows.restore(state["windows"])
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"the state of the rules cannot be read: {error}") from error
        if not same:
            raise SnapshotError("the state of the rules belongs to another version of rules.yaml")

    def _is_member(self, table: pl.DataFrame, asked: Membership) -> pl.Series:
        values = self._lists[asked.list]
        answers = [None if text is None else text in values for text in table[asked.column].to_list()]
        return pl.Series(asked.name, answers, dtype=pl.Boolean)

    def _feature_values(self, table: pl.DataFrame, rows: EntityRows) -> pl.DataFrame:
        if not self._features:
            return pl.DataFrame()
        values = self._windows.step(table, self._inputs.of(table), rows)
        return pl.DataFrame(values, nan_to_null=True)

    def _evaluate(self, table: pl.DataFrame) -> npt.NDArray[np.bool_]:
        matrix = np.zeros((table.height, len(self._rules)), np.bool_)
        at_work = [place for place in range(len(self._rules)) if place not in self._set_aside]
        if not at_work or not table.height:
            return matrix
        try:
            matrix[:, at_work] = table.select(self._conditions[place] for place in at_work).to_numpy()
        except Exception:  # noqa: BLE001  # whatever one rule raises must not stop the others
            for place in at_work:
                matrix[:, place] = self._evaluate_alone(table, place)
        return matrix

    def _evaluate_alone(self, table: pl.DataFrame, place: int) -> npt.NDArray[np.bool_]:
        try:
            return table.select(self._conditions[place]).to_series().to_numpy()
        except Exception as error:  # noqa: BLE001  # as above: it is set aside and said so
            self._set_aside[place] = f"{type(error).__name__}: {error}".split("\n", 1)[0]
            return np.zeros(table.height, np.bool_)


def compile_rules(document: RulesDocument) -> RuleBook | list[Problem]:
    """Return the rule book of a document, or every error for which it is refused."""
    drafted = draft(document)
    return errors(drafted.problems) or RuleBook(drafted)


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


def _row(features: pl.DataFrame, i: int) -> dict[str, object]:
    return features.row(i, named=True) if features.width else {}


def _memberships(features: Sequence[Feature], rules: Sequence[Rule]) -> list[Membership]:
    asked = {one for rule in rules for one in rule.when.memberships}
    for feature in features:
        for sql in (*feature.filters, *([feature.value] if feature.value else [])):
            asked |= sql.memberships
    return sorted(asked)


def _columns(features: Sequence[Feature], rules: Sequence[Rule]) -> frozenset[str]:
    declared = {feature.name for feature in features}
    read = frozenset({"timestamp"}).union(*(feature.columns for feature in features))
    return read.union(*(rule.columns for rule in rules)) - declared


def _version(drafted: Draft) -> str:
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
    }
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()
