"""Can a condition hold at all, can it fail at all: found by bounding every number in it.

`amount > 10 AND amount < 5`, `hour = 24`, `status = 'denied'` can never hold; `amount >= 0` cannot fail.  The
answer errs on one side: what is called impossible is impossible.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from sqlglot import exp

from detectors.rules import intervals
from detectors.rules.intervals import ANY, NOT_NEGATIVE, Interval

_OPPOSITE: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.LT: exp.GTE,
    exp.LTE: exp.GT,
    exp.GT: exp.LTE,
    exp.GTE: exp.LT,
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
}
_MIRROR: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
    exp.EQ: exp.EQ,
    exp.NEQ: exp.NEQ,
}
Part = tuple[exp.Expr, bool]
"""A condition, and whether it has to hold or to fail."""


class Known(msgspec.Struct, frozen=True):
    """What is known of columns: the bounds of numbers, the possible values of texts."""

    numbers: Mapping[str, Interval]
    texts: Mapping[str, frozenset[str]]


def possible(node: exp.Expr, known: Known, *, wanted: bool = True) -> bool:
    """Tell whether checked SQL can be true (or, not `wanted`, false) for some transaction."""
    parts = _conjunction(node, wanted=wanted)
    if len(parts) > 1:
        for part in parts:
            known = _narrowed(known, part)
        if any(bounds.is_empty for bounds in known.numbers.values()) or not all(known.texts.values()):
            return False
        return all(possible(inner, known, wanted=sign) for inner, sign in parts)
    inner, sign = parts[0]
    if isinstance(inner, exp.And | exp.Or):  # a choice: its conjunctions were taken apart above
        return any(possible(one, known, wanted=sign) for one in (inner.this, inner.args["expression"]))
    return _atom_possible(inner, known, wanted=sign)


def bounds_of(node: exp.Expr, known: Known) -> Interval:
    """Return where the number that checked SQL gives can lie."""
    if isinstance(node, exp.Column):
        return known.numbers.get(str(node.name), ANY)
    if isinstance(node, exp.Literal):
        return ANY if node.is_string else intervals.exactly(float(node.this))
    rule = _ARITHMETIC.get(type(node))
    if rule is None:
        return ANY
    return rule([bounds_of(operand, known) for operand in node.iter_expressions()])


_ARITHMETIC: dict[type[exp.Expr], Callable[[Sequence[Interval]], Interval]] = {
    exp.Paren: lambda operands: operands[0],
    exp.Add: lambda operands: intervals.add(operands[0], operands[1]),
    exp.Sub: lambda operands: intervals.add(operands[0], intervals.negate(operands[1])),
    exp.Mul: lambda operands: intervals.multiply(operands[0], operands[1]),
    exp.Neg: lambda operands: intervals.negate(operands[0]),
    exp.Abs: lambda operands: intervals.absolute(operands[0]),
    exp.Coalesce: intervals.union,
    exp.Greatest: intervals.union,
    exp.Least: intervals.union,
    exp.Sqrt: lambda _: NOT_NEGATIVE,
    exp.Length: lambda _: NOT_NEGATIVE,
}


def implies(narrow: exp.Expr, wide: exp.Expr, known: Known) -> bool:
    """Tell whether what meets one condition surely meets the other.

    Each part of `wide` stands in `narrow`, or cannot fail within the bounds that `narrow` puts on the same
    columns; of other columns it could be unknown, and then it is no hit.
    """
    parts = _conjunction(narrow, wanted=True)
    said = {_said(part) for part in parts}
    plain = [part for part in parts if _is_plain(part)]
    for part in plain:
        known = _narrowed(known, part)
    bounded = {name for part in plain for name in _columns(part)}
    return all(
        _said(part) in said or (_is_plain(part) and _columns(part) <= bounded and not _may_fail(part, known))
        for part in _conjunction(wide, wanted=True)
    )


def _said(part: Part) -> str:
    node, wanted = part
    return node.sql() if wanted else f"NOT {node.sql()}"


def _is_plain(part: Part) -> bool:
    """Tell whether it compares columns and numbers or words, so that it holds only where they are known."""
    node, _ = part
    return isinstance(node, (*_OPPOSITE, exp.In)) and node.find(exp.Func) is None


def _columns(part: Part) -> set[str]:
    return {str(column.name) for column in part[0].find_all(exp.Column)}


def _may_fail(part: Part, known: Known) -> bool:
    node, wanted = part
    return possible(node, known, wanted=not wanted)


def _conjunction(node: exp.Expr, *, wanted: bool) -> list[Part]:
    if isinstance(node, exp.Paren):
        return _conjunction(node.this, wanted=wanted)
    if isinstance(node, exp.Not):
        return _conjunction(node.this, wanted=not wanted)
    if isinstance(node, exp.And if wanted else exp.Or):
        left, right = node.this, node.args["expression"]
        return [*_conjunction(left, wanted=wanted), *_conjunction(right, wanted=wanted)]
    if isinstance(node, exp.Between) and wanted:
        ends = node.args["low"], node.args["high"]
        return [
            (exp.GTE(this=node.this.copy(), expression=ends[0].copy()), True),
            (exp.LTE(this=node.this.copy(), expression=ends[1].copy()), True),
        ]
    return [(node, wanted)]


def _narrowed(known: Known, part: Part) -> Known:
    node, wanted = part
    if isinstance(node, exp.In) and wanted and isinstance(node.this, exp.Column):
        return _narrowed_to_members(known, node)
    if type(node) not in _OPPOSITE:
        return known
    relation = type(node) if wanted else _OPPOSITE[type(node)]
    left, right = node.this, node.args["expression"]
    known = _narrowed_side(known, left, relation, right)
    return _narrowed_side(known, right, _MIRROR[relation], left)


def _narrowed_side(known: Known, side: exp.Expr, relation: type[exp.Expr], other: exp.Expr) -> Known:
    if not isinstance(side, exp.Column):
        return known
    name = str(side.name)
    if isinstance(other, exp.Literal) and other.is_string:
        return _narrowed_text(known, name, relation, frozenset({str(other.this)}))
    if name not in known.numbers:
        return known
    bounds = known.numbers[name] & _where(relation, bounds_of(other, known))
    return Known({**known.numbers, name: bounds}, known.texts)


def _narrowed_text(known: Known, name: str, relation: type[exp.Expr], value: frozenset[str]) -> Known:
    texts = known.texts.get(name)
    if relation is exp.EQ:
        return Known(known.numbers, {**known.texts, name: value if texts is None else texts & value})
    return known if texts is None else Known(known.numbers, {**known.texts, name: texts - value})


def _narrowed_to_members(known: Known, node: exp.In) -> Known:
    name, members = str(node.this.name), node.expressions
    if all(member.is_string for member in members):
        values = frozenset(str(member.this) for member in members)
        narrowed = values & known.texts.get(name, values)
        return Known(known.numbers, {**known.texts, name: narrowed})
    numbers = [intervals.exactly(float(member.this)) for member in members]
    bounds = known.numbers.get(name, ANY) & intervals.union(numbers)
    return Known({**known.numbers, name: bounds}, known.texts)


def _where(relation: type[exp.Expr], other: Interval) -> Interval:
    if relation in {exp.LT, exp.LTE}:
        return intervals.below(other, or_equal=relation is exp.LTE)
    if relation in {exp.GT, exp.GTE}:
        return intervals.above(other, or_equal=relation is exp.GTE)
    return other if relation is exp.EQ else ANY


def _atom_possible(node: exp.Expr, known: Known, *, wanted: bool) -> bool:
    match node:
        case exp.Boolean():
            return bool(node.this) is wanted
        case exp.Between():  # asked only whether it can fail
            return _outside_possible(node, known)
        case exp.In() if wanted:
            return not _is_contradiction(_narrowed(known, (node, True)))
        case exp.In():
            return not _is_among(node, known)
        case _ if type(node) in _OPPOSITE:
            return _relation_possible(node, known, wanted=wanted)
        case _:
            return True


def _is_among(node: exp.In, known: Known) -> bool:
    """Tell whether every word that a column can have is one of these."""
    words = known.texts.get(str(node.this.name)) if isinstance(node.this, exp.Column) else None
    return words is not None and words <= {str(each.this) for each in node.expressions if each.is_string}


def _outside_possible(node: exp.Between, known: Known) -> bool:
    value = bounds_of(node.this, known)
    under = intervals.below(bounds_of(node.args["low"], known), or_equal=False)
    over = intervals.above(bounds_of(node.args["high"], known), or_equal=False)
    return not ((value & under).is_empty and (value & over).is_empty)


def _relation_possible(node: exp.Expr, known: Known, *, wanted: bool) -> bool:
    if _is_contradiction(_narrowed(known, (node, wanted))):
        return False
    relation = type(node) if wanted else _OPPOSITE[type(node)]
    left, right = bounds_of(node.this, known), bounds_of(node.args["expression"], known)
    if relation is exp.NEQ:
        return not (left == right and left.low == left.high)
    return not (left & _where(relation, right)).is_empty


def _is_contradiction(known: Known) -> bool:
    return any(bounds.is_empty for bounds in known.numbers.values()) or not all(known.texts.values())
