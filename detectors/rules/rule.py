"""One rule, checked and ready to be evaluated."""

from collections.abc import Mapping

import msgspec
import numpy as np

from detectors.rules.expressions import Condition, condition
from detectors.rules.message import Message
from detectors.rules.spec import RuleSpec
from detectors.rules.sql import Sql
from txwatch.masking import PERSONAL
from txwatch.model import AnomalyType, Severity

_BASELINE_OF = {"merchant": "merchant_count"}
_DEFAULT_BASELINE = "user_count"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of `rules.yaml`; `when` passed every check."""

    spec: RuleSpec
    when: Sql
    message: Message

    @property
    def severity(self) -> Severity:
        """The floor that a hit puts under the anomaly."""
        return Severity.parse(self.spec.severity)

    @property
    def type(self) -> AnomalyType:
        """What about the behaviour is strange."""
        return AnomalyType(self.spec.type)

    @property
    def baseline(self) -> str:
        """The column that counts what lies behind the entity's baseline."""
        return _BASELINE_OF.get(self.spec.entity, _DEFAULT_BASELINE)

    def condition(self) -> Condition:
        """Return where it holds: the predicate, enough baseline, within its hours."""
        parts = [condition(self.when)]
        if self.spec.min_baseline is not None:
            parts.append(_at_least(self.baseline, self.spec.min_baseline))
        if self.spec.hours is not None:
            parts.append(_within(self.spec.hours))
        return parts[0] if len(parts) == 1 else lambda batch: np.logical_and.reduce([p(batch) for p in parts])

    @property
    def columns(self) -> frozenset[str]:
        """Every column and feature that it reads, for its condition or its reason."""
        named = {self.spec.observed, self.spec.expected, self.baseline if self.spec.expected else None}
        return self.condition_columns | self.message.columns | {name for name in named if name}

    @property
    def condition_columns(self) -> frozenset[str]:
        """Every column and feature on which it depends whether the rule holds."""
        baseline = {self.baseline} if self.spec.min_baseline is not None else set()
        return self.when.columns | baseline | ({"hour"} if self.spec.hours else set())

    def facts(self, values: Mapping[str, object]) -> dict[str, object]:
        """Return the values on which the condition rested, and the personal ids that the message shows."""
        shown = self.message.columns.intersection(PERSONAL)
        return {name: values.get(name) for name in sorted(self.when.columns | shown)}


def _at_least(column: str, least: int) -> Condition:
    return lambda batch: batch.number(column) >= least


def _within(hours: str) -> Condition:
    first, last = (int(part) for part in hours.split("-"))
    join = np.logical_and if first < last else np.logical_or
    return lambda batch: join(batch.number("hour") >= first, batch.number("hour") < last)
