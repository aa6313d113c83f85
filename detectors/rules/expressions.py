"""Checked SQL as functions of a batch.

A condition becomes a function that says where it holds; where it fails is asked for only below a NOT.
Neither is true where the answer is null, so nulls take care of themselves: NOT of a null holds nowhere.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
from sqlglot import exp

from detectors.rules.batch import Batch, as_flags
from detectors.rules.kinds import Kind
from detectors.rules.operators import OPERATORS
from detectors.rules.sql import Sql, membership
from detectors.types import Flags, Floats

Condition = Callable[[Batch], Flags]
Number = Callable[[Batch], Floats]


def condition(sql: Sql) -> Condition:
    """Return where checked SQL holds, as a function of a batch: shape (rows,)."""
    holds = _Builder(sql.kinds).flag(sql.tree, wanted=True)
    return lambda batch: as_flags(holds(batch), len(batch))


def number(sql: Sql) -> Number:
    """Return the number that checked SQL gives, as a function of a batch: shape (rows,), null is NaN."""
    value = _Builder(sql.kinds).value(sql.tree)
    return lambda batch: np.broadcast_to(np.asarray(value(batch), np.float64), len(batch))


class _Builder:
    """Builds functions from a tree whose columns have these kinds."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds

    def value(self, node: exp.Expr) -> Callable[[Batch], Any]:
        """Return the function of a node that gives a number or text."""
        if isinstance(node, exp.Column):
            return self._column(str(node.name))
        if isinstance(node, exp.Literal):
            constant = str(node.this) if node.is_string else np.float64(node.this)
            return lambda _: constant
        function = OPERATORS[type(node)].value
        assert function is not None  # conditions go to `flag`
        operands = [self.value(operand) for operand in node.iter_expressions()]
        return lambda batch: function(*(operand(batch) for operand in operands))

    def flag(self, node: exp.Expr, *, wanted: bool) -> Callable[[Batch], Any]:
        """Return the function that says where a condition is true, or (not `wanted`) false."""
        match node:
            case exp.Paren():
                return self.flag(node.this, wanted=wanted)
            case exp.Not():
                return self.flag(node.this, wanted=not wanted)
            case exp.And() | exp.Or():
                return self._joined(node, both=isinstance(node, exp.And) is wanted, wanted=wanted)
            case exp.Boolean() | exp.Column() | exp.Anonymous():
                return self._leaf(node, wanted=wanted)
            case _:
                return self._remembered(node, self._plain(node, wanted=wanted), wanted=wanted)

    def _leaf(
        self, node: exp.Boolean | exp.Column | exp.Anonymous, *, wanted: bool
    ) -> Callable[[Batch], Any]:
        if isinstance(node, exp.Boolean):
            return lambda _: bool(node.this) is wanted
        if isinstance(node, exp.Column):
            return lambda batch: batch.flag(str(node.name), wanted=wanted)
        asked = membership(node)
        return lambda batch: batch.member(asked, wanted=wanted)

    def _plain(self, node: exp.Expr, *, wanted: bool) -> Callable[[Batch], Any]:
        if isinstance(node, exp.Is):
            return self._is(node, wanted=wanted)
        operands = list(node.iter_expressions())
        if self._gives(operands[0]) is Kind.FLAG:
            return self._of_flags(node, operands, wanted=wanted)
        line = OPERATORS[type(node)]
        function = line.holds if wanted else line.fails
        assert function is not None  # what gives a flag from numbers or texts has both
        values = [self.value(operand) for operand in operands]
        return lambda batch: function(*(value(batch) for value in values))

    def _remembered(
        self, node: exp.Expr, function: Callable[[Batch], Any], *, wanted: bool
    ) -> Callable[[Batch], Flags]:
        text = node.sql()
        return lambda batch: batch.once(
            text, wanted=wanted, work=lambda: as_flags(function(batch), len(batch))
        )

    def _joined(self, node: exp.Expr, *, both: bool, wanted: bool) -> Callable[[Batch], Any]:
        left = self.flag(node.this, wanted=wanted)
        right = self.flag(node.args["expression"], wanted=wanted)
        if both:
            return lambda batch: left(batch) & right(batch)
        return lambda batch: left(batch) | right(batch)

    def _is(self, node: exp.Is, *, wanted: bool) -> Callable[[Batch], Any]:
        if isinstance(node.expression, exp.Boolean):
            is_it = self.flag(node.this, wanted=bool(node.expression.this))
            return lambda batch: np.equal(is_it(batch), wanted)
        if self._gives(node.this) is Kind.FLAG:
            true, false = self.flag(node.this, wanted=True), self.flag(node.this, wanted=False)
            return lambda batch: np.equal(true(batch) | false(batch), not wanted)
        value = self.value(node.this)
        return lambda batch: np.equal(_is_null(value(batch)), wanted)

    def _of_flags(self, node: exp.Expr, operands: list[exp.Expr], *, wanted: bool) -> Callable[[Batch], Any]:
        pairs = [(self.flag(one, wanted=True), self.flag(one, wanted=False)) for one in operands]
        if isinstance(node, exp.Coalesce):
            return lambda batch: _first_known_flag(
                [(true(batch), false(batch)) for true, false in pairs], wanted=wanted
            )
        (true, false), (other_true, other_false) = pairs
        if isinstance(node, exp.EQ) is wanted:
            return lambda batch: (true(batch) & other_true(batch)) | (false(batch) & other_false(batch))
        return lambda batch: (true(batch) & other_false(batch)) | (false(batch) & other_true(batch))

    def _column(self, name: str) -> Callable[[Batch], Any]:
        if self._kinds[name] is Kind.NUMBER:
            return lambda batch: batch.number(name)
        return lambda batch: batch.text(name)

    def _gives(self, node: exp.Expr) -> Kind | None:
        if isinstance(node, exp.Column):
            return self._kinds[str(node.name)]
        if isinstance(node, exp.Literal):
            return Kind.TEXT if node.is_string else Kind.NUMBER
        if isinstance(node, exp.Boolean | exp.Is | exp.Anonymous):
            return Kind.FLAG
        return OPERATORS[type(node)].gives or self._gives(next(node.iter_expressions()))


def _is_null(value: Any) -> Any:
    if isinstance(value, pl.Series):
        return value.is_null().to_numpy()
    return False if isinstance(value, str) else np.isnan(value)


def _first_known_flag(answers: list[tuple[Any, Any]], *, wanted: bool) -> Any:
    result: Any = False
    open_still: Any = True
    for true, false in answers:
        result = result | (open_still & (true if wanted else false))
        open_still = open_still & np.logical_not(true | false)
    return result
