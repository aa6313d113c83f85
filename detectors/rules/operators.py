"""Everything that SQL in `rules.yaml` may say, one line each: what it takes, gives, and means in polars.

A node that has no line here (or in `expressions`) is refused, whatever sqlglot may parse.  Null in gives
null out, except in AND, OR, IS, COALESCE, GREATEST and LEAST (the last two ignore nulls).  What has no
value is null, never NaN or an infinity: x / 0, x % 0, sqrt of less than 0, ln of 0 or less.
"""

import operator
import re
from collections.abc import Callable, Sequence

import msgspec
import polars as pl
from sqlglot import exp

from detectors.rules.kinds import Kind

Operands = Sequence[pl.Expr]
Nodes = Sequence[exp.Expr]
Build = Callable[[Operands, Nodes], pl.Expr]

NUMBER, TEXT, FLAG = Kind.NUMBER, Kind.TEXT, Kind.FLAG
SAME = None
"""Of the same kind as the first operand."""


class Operator(msgspec.Struct, frozen=True):
    """One thing that SQL may say.

    `takes` are the kinds of the operands; `gives` is the kind of the result
    (SAME: the first operand's).  `build` gets the built operands and their nodes.  With `written_out`
    every operand but the first has to be a literal: a pattern, a list, a number of decimals.  With
    `repeats` there may be more operands than `takes` names.
    """

    node: type[exp.Expr]
    word: str
    takes: tuple[Kind | None, ...]
    gives: Kind | None
    build: Build
    written_out: bool = False
    repeats: bool = False

    def takes_as_many(self, count: int) -> bool:
        """Tell whether it can have so many operands."""
        return count >= len(self.takes) if self.repeats else count <= len(self.takes)


def _binary(function: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> Build:
    return lambda operands, _: function(operands[0], operands[1])


def _unary(function: Callable[[pl.Expr], pl.Expr]) -> Build:
    return lambda operands, _: function(operands[0])


def _unless_zero(function: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> Build:
    def build(operands: Operands, nodes: Nodes) -> pl.Expr:
        value = function(operands[0], operands[1])
        known = isinstance(nodes[1], exp.Literal) and float(nodes[1].this) != 0.0
        return value if known else pl.when(operands[1] != 0.0).then(value)

    return build


def _members(operands: Operands, nodes: Nodes) -> pl.Expr:
    numbers = [float(node.this) for node in nodes[1:] if not node.args.get("is_string")]
    texts = [str(node.this) for node in nodes[1:] if node.args.get("is_string")]
    return operands[0].is_in(texts or numbers)


def _like(*, ignore_case: bool) -> Build:
    def build(operands: Operands, nodes: Nodes) -> pl.Expr:
        letters = {"%": ".*", "_": "."}
        pattern = "".join(letters.get(letter, re.escape(letter)) for letter in str(nodes[1].this))
        return operands[0].str.contains(f"(?s{'i' if ignore_case else ''})^{pattern}$")

    return build


def _rounded(operands: Operands, nodes: Nodes) -> pl.Expr:
    decimals = min(int(float(nodes[1].this)), 15) if len(nodes) > 1 else 0
    return operands[0].round(decimals, mode="half_away_from_zero")


OPERATORS: dict[type[exp.Expr], Operator] = {
    line.node: line
    for line in (
        Operator(exp.And, "AND", (FLAG, FLAG), FLAG, _binary(operator.and_)),
        Operator(exp.Or, "OR", (FLAG, FLAG), FLAG, _binary(operator.or_)),
        Operator(exp.Not, "NOT", (FLAG,), FLAG, _unary(operator.invert)),
        Operator(exp.Paren, "( )", (SAME,), SAME, _unary(lambda operand: operand)),
        Operator(exp.EQ, "=", (SAME, SAME), FLAG, _binary(operator.eq)),
        Operator(exp.NEQ, "<>", (SAME, SAME), FLAG, _binary(operator.ne)),
        Operator(exp.LT, "<", (NUMBER, NUMBER), FLAG, _binary(operator.lt)),
        Operator(exp.LTE, "<=", (NUMBER, NUMBER), FLAG, _binary(operator.le)),
        Operator(exp.GT, ">", (NUMBER, NUMBER), FLAG, _binary(operator.gt)),
        Operator(exp.GTE, ">=", (NUMBER, NUMBER), FLAG, _binary(operator.ge)),
        Operator(
            exp.Between,
            "BETWEEN",
            (NUMBER, NUMBER, NUMBER),
            FLAG,
            lambda operands, _: (operands[0] >= operands[1]) & (operands[0] <= operands[2]),
        ),
        Operator(exp.In, "IN", (SAME, SAME), FLAG, _members, written_out=True, repeats=True),
        Operator(exp.Like, "LIKE", (TEXT, TEXT), FLAG, _like(ignore_case=False), written_out=True),
        Operator(exp.ILike, "ILIKE", (TEXT, TEXT), FLAG, _like(ignore_case=True), written_out=True),
        Operator(exp.Add, "+", (NUMBER, NUMBER), NUMBER, _binary(operator.add)),
        Operator(exp.Sub, "-", (NUMBER, NUMBER), NUMBER, _binary(operator.sub)),
        Operator(exp.Mul, "*", (NUMBER, NUMBER), NUMBER, _binary(operator.mul)),
        Operator(exp.Div, "/", (NUMBER, NUMBER), NUMBER, _unless_zero(operator.truediv)),
        Operator(exp.Mod, "%", (NUMBER, NUMBER), NUMBER, _unless_zero(operator.mod)),
        Operator(exp.Neg, "-", (NUMBER,), NUMBER, _unary(operator.neg)),
        Operator(exp.Abs, "abs", (NUMBER,), NUMBER, _unary(pl.Expr.abs)),
        Operator(exp.Floor, "floor", (NUMBER,), NUMBER, _unary(pl.Expr.floor)),
        Operator(exp.Ceil, "ceil", (NUMBER,), NUMBER, _unary(pl.Expr.ceil)),
        Operator(exp.Round, "round", (NUMBER, NUMBER), NUMBER, _rounded, written_out=True),
        Operator(
            exp.Sqrt,
            "sqrt",
            (NUMBER,),
            NUMBER,
            lambda operands, _: pl.when(operands[0] >= 0.0).then(operands[0].sqrt()),
        ),
        Operator(
            exp.Ln,
            "ln",
            (NUMBER,),
            NUMBER,
            lambda operands, _: pl.when(operands[0] > 0.0).then(operands[0].log()),
        ),
        Operator(
            exp.Greatest,
            "greatest",
            (NUMBER, NUMBER),
            NUMBER,
            lambda operands, _: pl.max_horizontal(operands),
        ),
        Operator(
            exp.Least,
            "least",
            (NUMBER, NUMBER),
            NUMBER,
            lambda operands, _: pl.min_horizontal(operands),
            repeats=True,
        ),
        Operator(
            exp.Coalesce,
            "coalesce",
            (SAME, SAME),
            SAME,
            lambda operands, _: pl.coalesce(operands),
            repeats=True,
        ),
        Operator(exp.Lower, "lower", (TEXT,), TEXT, _unary(lambda operand: operand.str.to_lowercase())),
        Operator(exp.Upper, "upper", (TEXT,), TEXT, _unary(lambda operand: operand.str.to_uppercase())),
        Operator(exp.Length, "length", (TEXT,), NUMBER, _unary(lambda o: o.str.len_chars().cast(pl.Float64))),
    )
}
"""By sqlglot's node; `expressions` adds columns, literals, IS and in_list()."""

FUNCTIONS = sorted([*(line.word for line in OPERATORS.values() if line.word.islower()), "in_list"])
"""The names of the functions, for suggestions."""
