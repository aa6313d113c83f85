"""Declared features: from what stands in the file to what the windows compute."""

from collections.abc import Collection, Mapping

import msgspec

from detectors.rules.kinds import Kind
from detectors.rules.spec import FeatureSpec
from detectors.rules.sql import Sql, read_sql
from detectors.rules.windowing import read_window
from txwatch.problems import Problem, did_you_mean
from txwatch.rulesfile import RulesDocument
from txwatch.yamltree import TreePath

KINDS = ("count", "sum", "mean", "max", "distinct", "time_since")


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """One declared feature, checked.

    `filters` have all to hold for a transaction to count; `value` is the number that sum, mean and max
    take, `column` the text column whose values distinct counts.
    """

    name: str
    kind: str
    by: tuple[str, ...]
    window_ms: int
    filters: tuple[Sql, ...] = ()
    value: Sql | None = None
    column: str | None = None

    @property
    def columns(self) -> frozenset[str]:
        """The published columns that it reads."""
        read = [sql.columns for sql in (*self.filters, self.value) if sql is not None]
        return frozenset(self.by).union(*read, [self.column] if self.column else [])


class FeatureReader:
    """Reads the features of one document; what is wrong is added to `problems`."""

    def __init__(self, document: RulesDocument, columns: Mapping[str, Kind], lists: Collection[str]) -> None:
        self._document = document
        self._columns = columns
        self._lists = lists
        self.problems: list[Problem] = []

    def read(self, name: str, spec: FeatureSpec) -> Feature | None:
        """Return the feature, None when something is wrong with it."""
        path: TreePath = ("features", name)
        before = len(self.problems)
        kinds = [kind for kind in KINDS if getattr(spec, kind) is not None]
        if name in self._columns:
            self._add(path, f"`{name}` is a published column already", on_key=True)
        if len(kinds) != 1:
            self._add(path, f"`{name}` needs exactly one of {', '.join(KINDS)}", on_key=True)
            return None
        window = read_window(spec.window)
        if isinstance(window, str):
            self._add((*path, "window"), window)
        feature = self._feature(name, spec, kinds[0], window if isinstance(window, int) else 0)
        return feature if len(self.problems) == before else None

    def _feature(self, name: str, spec: FeatureSpec, kind: str, window_ms: int) -> Feature:
        path: TreePath = ("features", name)
        text = getattr(spec, kind).strip()
        filters: list[Sql | None] = []
        value: Sql | None = None
        if kind in {"count", "time_since"} and text != "*":
            filters.append(self._sql((*path, kind), text, Kind.FLAG))
        elif kind in {"sum", "mean", "max"}:
            value = self._sql((*path, kind), text, Kind.NUMBER)
        elif kind == "distinct":
            self._expect_text_column((*path, kind), text)
        if spec.where is not None:
            filters.append(self._sql((*path, "where"), spec.where, Kind.FLAG))
        return Feature(
            name=name,
            kind=kind,
            by=self._by(path, spec),
            window_ms=window_ms,
            filters=tuple(sql for sql in filters if sql is not None),
            value=value,
            column=text if kind == "distinct" else None,
        )

    def _by(self, path: TreePath, spec: FeatureSpec) -> tuple[str, ...]:
        by = (spec.by,) if isinstance(spec.by, str) else tuple(spec.by)
        if len(set(by)) < len(by):
            self._add((*path, "by"), "a pair is made of two different columns")
        return by

    def _expect_text_column(self, path: TreePath, name: str) -> None:
        if name not in self._columns:
            self._add(path, f"unknown column `{name}`", did_you_mean(name, self._columns))
        elif self._columns[name] is not Kind.TEXT:
            self._add(path, f"distinct counts the values of a text column, `{name}` is none")

    def _sql(self, path: TreePath, text: str, wanted: Kind) -> Sql | None:
        read = read_sql(text, wanted, self._columns, self._lists)
        if isinstance(read, Sql):
            return read
        for fault in read:
            inside = (fault.start, fault.end)
            self.problems.append(
                self._document.problem(path, fault.sentence, fault.suggestion, inside=inside)
            )
        return None

    def _add(self, path: TreePath, sentence: str, suggestion: str = "", *, on_key: bool = False) -> None:
        self.problems.append(self._document.problem(path, sentence, suggestion, on_key=on_key))
