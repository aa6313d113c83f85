"""SQL from `rules.yaml`: parsed by sqlglot, held against the allow-list, its kinds checked.

Every text gives a `Sql` or a list of faults, each at its characters of the text; never an exception.
What is an error: anything that is not in `operators.OPERATORS`, an unknown column, function or list, operands
of the wrong kind, a result of the wrong kind.
"""

import math
from collections.abc import Collection, Mapping

import msgspec
from sqlglot import exp

from detectors.rules.kinds import Kind
from detectors.rules.operators import FUNCTIONS, OPERATORS, Operator
from detectors.rules.parsing import Fault, parse_sql
from txwatch.problems import did_you_mean

MAX_NUMBER = 1e15
"""Larger literals could make an infinity out of ordinary amounts."""

_NO_AGGREGATE = "a rule looks at one transaction; declare a feature for what spans several"
_REFUSED: tuple[tuple[type[exp.Expr], str, str], ...] = (
    (exp.Window, "window functions are not allowed", _NO_AGGREGATE),
    (exp.AggFunc, "aggregates are not allowed", _NO_AGGREGATE),
    (exp.Query, "queries are not allowed", _NO_AGGREGATE),
    (exp.Null, "nothing equals NULL", "write IS NULL or IS NOT NULL"),
    (exp.DPipe, "`||` is not allowed", "write OR"),
    (exp.Case, "CASE is not allowed", "use AND and OR, or write two rules"),
    (exp.If, "IF is not allowed", "use AND and OR, or write two rules"),
    (exp.Cast, "casts are not needed", "columns have the kinds that docs/rules.md lists"),
)

_HARMLESS = {"ignore_nulls"}
"""Switches that sqlglot sets on nodes and that mean here what they mean there."""


class Membership(msgspec.Struct, frozen=True, order=True):
    """One `in_list(column, 'list')`: evaluated beforehand, as a column of its own."""

    column: str
    list: str

    @property
    def name(self) -> str:
        """The column that carries the answer."""
        return f"in_list({self.column}, {self.list})"


class Sql(msgspec.Struct, frozen=True, kw_only=True):
    """SQL that passed: `tree` holds nothing but allowed nodes with operands of the right kinds."""

    text: str
    tree: exp.Expr
    kind: Kind
    kinds: Mapping[str, Kind]
    """The columns that it reads, with their kinds."""
    memberships: frozenset[Membership]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it reads."""
        return frozenset(self.kinds)


def read_sql(
    text: str, wanted: Kind, columns: Mapping[str, Kind], lists: Collection[str]
) -> Sql | list[Fault]:
    """Return the checked SQL, or everything that is wrong with it."""
    tree = parse_sql(text)
    if isinstance(tree, Fault):
        return [tree]
    reader = _Reader(text, columns, lists)
    kind = reader.read(tree)
    if kind is not None and kind is not wanted:
        reader.fault(tree, f"this is {kind.value}, not {wanted.value}")
    if reader.faults:
        return sorted(set(reader.faults))
    return Sql(
        text=text,
        tree=tree,
        kind=wanted,
        kinds={name: columns[name] for name in sorted(reader.columns)},
        memberships=frozenset(reader.memberships),
    )


def membership(node: exp.Anonymous) -> Membership:
    """Return what a checked `in_list(...)` asks for."""
    column, name = node.expressions
    return Membership(str(column.name), str(name.this))


class _Reader:
    """Walks a tree and collects kinds, columns, lists and faults."""

    def __init__(self, text: str, known: Mapping[str, Kind], lists: Collection[str]) -> None:
        self._text = text
        self._known = known
        self._lists = lists
        self.columns: set[str] = set()
        self.memberships: set[Membership] = set()
        self.faults: list[Fault] = []

    def read(self, node: exp.Expr) -> Kind | None:
        """Return the node's kind, None where a fault below makes it unknown."""
        match node:
            case exp.Column():
                kind = self._column(node)
            case exp.Literal():
                kind = self._literal(node)
            case exp.Boolean():
                kind = Kind.FLAG
            case exp.Is():
                kind = self._is(node)
            case exp.Anonymous():
                kind = self._in_list(node)
            case _ if type(node) in OPERATORS:
                kind = self._operator(node, OPERATORS[type(node)])
            case _:
                kind = self._refused(node)
        return kind

    def fault(self, node: exp.Expr, sentence: str, suggestion: str = "") -> None:
        """Remember a fault at the characters of a node."""
        self.faults.append(Fault(*span_of(node, self._text), sentence, suggestion))

    def _column(self, node: exp.Column) -> Kind | None:
        name = str(node.name)
        if len(node.parts) > 1:
            self.fault(node, f"`{node.sql()}` names a table", f"write `{name}`")
        elif name not in self._known:
            meant_as_text = node.this.args.get("quoted") or self._faces_text(node)
            quotes = f"text stands in single quotes: '{name}'"
            self.fault(
                node,
                f"unknown column `{name}`",
                quotes if meant_as_text else did_you_mean(name, self._known),
            )
        self.columns.add(name)
        return self._known.get(name)

    def _faces_text(self, node: exp.Column) -> bool:
        parent = node.parent
        sides = [parent.this, parent.expression] if isinstance(parent, exp.EQ | exp.NEQ) else []
        return any(self._known.get(str(side.name)) is Kind.TEXT for side in sides if side is not node)

    def _literal(self, node: exp.Literal) -> Kind:
        if node.is_string:
            return Kind.TEXT
        try:
            number = float(node.this)
        except ValueError:
            number = math.inf
        if number > MAX_NUMBER:
            self.fault(node, f"`{node.this}` is no number up to {MAX_NUMBER:g}")
        return Kind.NUMBER

    def _is(self, node: exp.Is) -> Kind:
        kind = self.read(node.this)
        if isinstance(node.expression, exp.Boolean):
            self._expect(node.this, kind, Kind.FLAG, "IS TRUE")
        elif not isinstance(node.expression, exp.Null):
            self.fault(node.expression, "IS takes NULL, TRUE or FALSE")
        return Kind.FLAG

    def _in_list(self, node: exp.Anonymous) -> Kind | None:
        name = str(node.name).lower()
        if name != "in_list":
            self.fault(node, f"unknown function `{name}`", did_you_mean(name, FUNCTIONS))
            return None
        arguments = node.expressions
        shape = [exp.Column, exp.Literal]
        if [type(argument) for argument in arguments] != shape or not arguments[1].is_string:
            self.fault(node, "in_list takes a column and a list", "in_list(merchant_id, 'watch')")
            return Kind.FLAG
        self._expect(arguments[0], self.read(arguments[0]), Kind.TEXT, "in_list")
        if arguments[1].this not in self._lists:
            advice = did_you_mean(arguments[1].this, self._lists)
            self.fault(arguments[1], f"unknown list `{arguments[1].this}`", advice)
        self.memberships.add(membership(node))
        return Kind.FLAG

    def _operator(self, node: exp.Expr, line: Operator) -> Kind | None:
        operands = list(node.iter_expressions())
        kinds = [self.read(operand) for operand in operands]
        switches = sorted(key for key, value in node.args.items() if value is True and key not in _HARMLESS)
        if switches:
            self.fault(node, f"{line.word} with {', '.join(switches)} is not allowed")
        if not line.takes_as_many(len(operands)):
            self.fault(node, f"{line.word} does not take {len(operands)} values")
            return line.gives
        for i, (operand, kind) in enumerate(zip(operands, kinds, strict=True)):
            wanted = line.takes[min(i, len(line.takes) - 1)]
            self._expect(operand, kind, kinds[0] if wanted is None else wanted, line.word)
            if i and line.written_out and not isinstance(operand, exp.Literal):
                self.fault(operand, f"{line.word} takes values that are written out here")
        return line.gives or kinds[0]

    def _expect(self, node: exp.Expr, kind: Kind | None, wanted: Kind | None, word: str) -> None:
        if kind is None or wanted is None or kind is wanted:
            return
        advice = ""
        if wanted is Kind.TEXT and kind is Kind.NUMBER and isinstance(node, exp.Literal):
            advice = f"write '{node.this}'"
        elif wanted is Kind.NUMBER and kind is Kind.TEXT and isinstance(node, exp.Literal):
            advice = "write the number without quotes"
        self.fault(node, f"`{node.sql()}` is {kind.value}, but {word} needs {wanted.value} here", advice)

    def _refused(self, node: exp.Expr) -> Kind | None:
        for refused, sentence, advice in _REFUSED:
            if isinstance(node, refused):
                self.fault(node, sentence, advice)
                return None
        if isinstance(node, exp.Func):
            name = node.sql_name().lower()
            self.fault(node, f"unknown function `{name}`", did_you_mean(name, FUNCTIONS))
        else:
            self.fault(node, f"`{node.sql()}` is not allowed in a rule")
        return None


def span_of(node: exp.Expr, text: str) -> tuple[int, int]:
    """Return from where to where a node stands in its text."""
    marks = [inner.meta for inner in node.walk() if "start" in inner.meta]
    if not marks:
        return 0, len(text)
    return min(mark["start"] for mark in marks), max(mark["end"] for mark in marks) + 1
