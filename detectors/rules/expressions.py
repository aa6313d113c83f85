"""Checked SQL as polars expressions, over columns that `kinds.as_kind` has prepared."""

import polars as pl
from sqlglot import exp

from detectors.rules.operators import OPERATORS
from detectors.rules.sql import Sql, membership


def expression(sql: Sql) -> pl.Expr:
    """Return the expression of checked SQL; a flag may come out null, which is no hit."""
    return _build(sql.tree)


def _build(node: exp.Expr) -> pl.Expr:
    if isinstance(node, exp.Column):
        return pl.col(str(node.name))
    if isinstance(node, exp.Literal):
        return pl.lit(str(node.this) if node.is_string else float(node.this))
    if isinstance(node, exp.Boolean):
        return pl.lit(bool(node.this))
    if isinstance(node, exp.Is):
        return _is(node)
    if isinstance(node, exp.Anonymous):
        return pl.col(membership(node).name)
    nodes = list(node.iter_expressions())
    return OPERATORS[type(node)].build([_build(operand) for operand in nodes], nodes)


def _is(node: exp.Is) -> pl.Expr:
    operand = _build(node.this)
    if isinstance(node.expression, exp.Null):
        return operand.is_null()
    wanted = operand if node.expression.this else ~operand
    return wanted.fill_null(value=False)
