"""Everything that SQL in `rules.yaml` may say, one line each: what it takes, gives, and means.

A node that has no line here (or in `expressions`) is refused, whatever sqlglot may parse.

Numbers are float64 arrays in which NaN is null, texts are polars series.  A condition has two functions:
`holds` and `fails`, neither of which is true where an operand is null; that is SQL's three-valued logic
without a third value.  What has no value is null: x / 0, x % 0, sqrt of less than 0, ln of 0 or less.
GREATEST, LEAST and COALESCE pass over nulls.
"""

import operator
import re
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import msgspec
import numpy as np
import polars as pl
from sqlglot import exp

from detectors.rules.kinds import Kind

Value = Any
"""A float64 array or number, or a series or text."""
Function = Callable[..., Value]

NUMBER, TEXT, FLAG = Kind.NUMBER, Kind.TEXT, Kind.FLAG
SAME = None
"""Of the same kind as the first operand."""


class Operator(msgspec.Struct, frozen=True):
    """One thing that SQL may say.

    `takes` are the kinds of the operands; `gives` is the kind of the result (SAME: the first
    operand's).  With `written_out` every operand but the first has to be a literal: a pattern, a list, a
    number of decimals.  With `repeats` there may be more operands than `takes` names.
    """

    node: type[exp.Expr]
    word: str
    takes: tuple[Kind | None, ...]
    gives: Kind | None
    value: Function | None = None
    """The result from the operands' values, for what gives a number or text."""
    holds: Function | None = None
    """Where it is true, for conditions on numbers and texts."""
    fails: Function | None = None
    """Where it is false."""
    written_out: bool = False
    repeats: bool = False

    def takes_as_many(self, count: int) -> bool:
        """Tell whether it can have so many operands."""
        return count >= len(self.takes) if self.repeats else count <= len(self.takes)


def _differs(left: Value, right: Value) -> Value:
    if isinstance(left, pl.Series | str):
        return left != right
    return (left < right) | (left > right)  # true of no NaN, unlike !=


def _divided(left: Value, right: Value) -> Value:
    return np.where(right == 0.0, np.nan, left / right)


def _remainder(left: Value, right: Value) -> Value:
    return np.where(right == 0.0, np.nan, np.fmod(left, right))


def _rounded(number: Value, decimals: float = 0.0) -> Value:
    scale = 10.0 ** min(decimals, 15.0)
    return np.copysign(np.floor(np.abs(number) * scale + 0.5) / scale, number)


def _logarithm(number: Value) -> Value:
    return np.log(np.where(number > 0.0, number, np.nan))


def _first_known(*values: Value) -> Value:
    if isinstance(values[0], pl.Series):
        return reduce(lambda first, second: first.fill_null(second), values)
    if isinstance(values[0], str):
        return values[0]
    return reduce(lambda first, second: np.where(np.isnan(first), second, first), values)


def _is_member(value: Value, *members: Value) -> Value:
    if isinstance(value, pl.Series):
        return value.is_in(list(members))
    return value in members if isinstance(value, str) else np.isin(value, members)


def _is_no_member(value: Value, *members: Value) -> Value:
    found = _is_member(value, *members)
    if isinstance(value, pl.Series):
        return ~found
    return not found if isinstance(value, str) else ~found & ~np.isnan(value)


def _like(*, ignore_case: bool) -> Function:
    def matches(text: Value, pattern: str) -> Value:
        letters = {"%": ".*", "_": "."}
        regular = "".join(letters.get(letter, re.escape(letter)) for letter in pattern)
        series = pl.Series([text]) if isinstance(text, str) else text
        return series.str.contains(f"(?s{'i' if ignore_case else ''})^{regular}$")

    return matches


def _negated(function: Function) -> Function:
    return lambda *operands: ~function(*operands)


def _text(change: Callable[[pl.Series], pl.Series]) -> Function:
    return lambda text: change(pl.Series([text]) if isinstance(text, str) else text)


def _lengths(texts: pl.Series) -> Value:
    return texts.str.len_chars().cast(pl.Float64).to_numpy()


_LIKE, _ILIKE = _like(ignore_case=False), _like(ignore_case=True)
_NUMBERS = (NUMBER, NUMBER)

_LINES: Sequence[Operator] = (
    Operator(exp.And, "AND", (FLAG, FLAG), FLAG),
    Operator(exp.Or, "OR", (FLAG, FLAG), FLAG),
    Operator(exp.Not, "NOT", (FLAG,), FLAG),
    Operator(exp.Paren, "( )", (SAME,), SAME, lambda value: value),
    Operator(exp.EQ, "=", (SAME, SAME), FLAG, holds=operator.eq, fails=_differs),
    Operator(exp.NEQ, "<>", (SAME, SAME), FLAG, holds=_differs, fails=operator.eq),
    Operator(exp.LT, "<", _NUMBERS, FLAG, holds=operator.lt, fails=operator.ge),
    Operator(exp.LTE, "<=", _NUMBERS, FLAG, holds=operator.le, fails=operator.gt),
    Operator(exp.GT, ">", _NUMBERS, FLAG, holds=operator.gt, fails=operator.le),
    Operator(exp.GTE, ">=", _NUMBERS, FLAG, holds=operator.ge, fails=operator.lt),
    Operator(
        exp.Between,
        "BETWEEN",
        (NUMBER, NUMBER, NUMBER),
        FLAG,
        holds=lambda x, low, high: (x >= low) & (x <= high),
        fails=lambda x, low, high: (x < low) | (x > high),
    ),
    Operator(
        exp.In,
        "IN",
        (SAME, SAME),
        FLAG,
        holds=_is_member,
        fails=_is_no_member,
        written_out=True,
        repeats=True,
    ),
    Operator(exp.Like, "LIKE", (TEXT, TEXT), FLAG, holds=_LIKE, fails=_negated(_LIKE), written_out=True),
    Operator(exp.ILike, "ILIKE", (TEXT, TEXT), FLAG, holds=_ILIKE, fails=_negated(_ILIKE), written_out=True),
    Operator(exp.Add, "+", _NUMBERS, NUMBER, operator.add),
    Operator(exp.Sub, "-", _NUMBERS, NUMBER, operator.sub),
    Operator(exp.Mul, "*", _NUMBERS, NUMBER, operator.mul),
    Operator(exp.Div, "/", _NUMBERS, NUMBER, _divided),
    Operator(exp.Mod, "%", _NUMBERS, NUMBER, _remainder),
    Operator(exp.Neg, "-", (NUMBER,), NUMBER, operator.neg),
    Operator(exp.Abs, "abs", (NUMBER,), NUMBER, np.abs),
    Operator(exp.Floor, "floor", (NUMBER,), NUMBER, np.floor),
    Operator(exp.Ceil, "ceil", (NUMBER,), NUMBER, np.ceil),
    Operator(exp.Round, "round", _NUMBERS, NUMBER, _rounded, written_out=True),
    Operator(exp.Sqrt, "sqrt", (NUMBER,), NUMBER, np.sqrt),
    Operator(exp.Ln, "ln", (NUMBER,), NUMBER, _logarithm),
    Operator(
        exp.Greatest, "greatest", _NUMBERS, NUMBER, lambda *values: reduce(np.fmax, values), repeats=True
    ),
    Operator(exp.Least, "least", _NUMBERS, NUMBER, lambda *values: reduce(np.fmin, values), repeats=True),
    Operator(exp.Coalesce, "coalesce", (SAME, SAME), SAME, _first_known, repeats=True),
    Operator(exp.Lower, "lower", (TEXT,), TEXT, _text(lambda series: series.str.to_lowercase())),
    Operator(exp.Upper, "upper", (TEXT,), TEXT, _text(lambda series: series.str.to_uppercase())),
    Operator(exp.Length, "length", (TEXT,), NUMBER, _text(_lengths)),
)

OPERATORS: dict[type[exp.Expr], Operator] = {line.node: line for line in _LINES}
"""By sqlglot's node; `expressions` adds columns, literals, AND, OR, NOT, IS and in_list()."""

FUNCTIONS = sorted([*(line.word for line in _LINES if line.word.islower()), "in_list"])
"""The names of the functions, for suggestions."""
