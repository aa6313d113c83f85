"""Conditions mean what SQL says they mean: SQLite is the judge, nulls included."""

import sqlite3
from itertools import product

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.rules.batch import Batch
from detectors.rules.bounds import Known, implies, possible
from detectors.rules.expressions import condition
from detectors.rules.intervals import ANY, Interval
from detectors.rules.kinds import Kind
from detectors.rules.sql import Sql, read_sql

KINDS = {"a": Kind.NUMBER, "b": Kind.NUMBER, "f": Kind.FLAG, "g": Kind.FLAG, "s": Kind.TEXT, "t": Kind.TEXT}
NUMBER_VALUES = [None, -2.5, -1.0, 0.0, 0.5, 1.0, 2.0, 7.25]
TEXT_VALUES = [None, "", "a", "B", "ab", "a%b"]

literals = st.sampled_from(["0.0", "1.0", "2.0", "0.5", "7.25", "(-1.0)"])
texts = st.sampled_from(["s", "t", "'a'", "'B'", "'ab'", "lower(s)", "upper(t)", "coalesce(s, t)"])
comparisons = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])


def numbers() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(["a", "b"]) | literals,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
            inner.map(lambda n: f"abs({n})"),
            inner.map(lambda n: f"(- {n})"),
            st.tuples(inner, inner).map(lambda p: f"coalesce({p[0]}, {p[1]})"),
        ),
        max_leaves=4,
    )


def atoms() -> st.SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(
            ["f", "g", "TRUE", "FALSE", "f = g", "f <> g", "coalesce(f, g)", "coalesce(g, TRUE)"]
        ),
        st.tuples(numbers(), comparisons, numbers()).map(" ".join),
        st.tuples(texts, st.sampled_from(["=", "<>"]), texts).map(" ".join),
        st.tuples(numbers(), literals, literals).map(lambda p: f"{p[0]} BETWEEN {p[1]} AND {p[2]}"),
        st.tuples(numbers(), st.booleans()).map(lambda p: f"{p[0]} IS {'NOT ' * p[1]}NULL"),
        st.sampled_from(["f IS NULL", "s IS NOT NULL", "f IS TRUE", "f IS NOT FALSE", "g IS NOT NULL"]),
        st.sampled_from(["a IN (0.5, 2.0)", "s IN ('a', 'B')", "t NOT IN ('ab')", "b NOT IN (1.0)"]),
        st.sampled_from(["s LIKE 'a%'", "t NOT LIKE '_'", "s LIKE 'a\\%b'"]),
        st.sampled_from(["length(s) > 1.0", "length(t) = 0.0"]),
    )


def conditions() -> st.SearchStrategy[str]:
    return st.recursive(
        atoms(),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
            inner.map(lambda c: f"NOT ({c})"),
            st.tuples(inner, inner).map(lambda p: f"(({p[0]}) = ({p[1]}))"),
            inner.map(lambda c: f"(({c}) IS NOT TRUE)"),
        ),
        max_leaves=6,
    )


rows = st.lists(
    st.tuples(
        st.sampled_from(NUMBER_VALUES),
        st.sampled_from(NUMBER_VALUES),
        st.sampled_from([None, True, False]),
        st.sampled_from([None, True, False]),
        st.sampled_from(TEXT_VALUES),
        st.sampled_from(TEXT_VALUES),
    ),
    min_size=1,
    max_size=12,
)


def sqlite_answers(text: str, data: list[tuple]) -> list[bool]:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA case_sensitive_like = ON")
    connection.execute("CREATE TABLE r (a REAL, b REAL, f INTEGER, g INTEGER, s TEXT, t TEXT)")
    connection.executemany("INSERT INTO r VALUES (?, ?, ?, ?, ?, ?)", data)
    try:
        return [bool(row[0]) for row in connection.execute(f"SELECT {text} FROM r ORDER BY rowid")]
    finally:
        connection.close()


def our_answers(sql: Sql, data: list[tuple]) -> list[bool]:
    schema = {
        "a": pl.Float64,
        "b": pl.Float64,
        "f": pl.Boolean,
        "g": pl.Boolean,
        "s": pl.String,
        "t": pl.String,
    }
    batch = Batch(pl.DataFrame(data, schema=schema, orient="row"), {}, {})
    with np.errstate(all="ignore"):
        return condition(sql)(batch).tolist()


@settings(max_examples=400)
@given(conditions(), rows)
def test_a_condition_holds_where_sqlite_says_true(text, data):
    """Three-valued logic, arithmetic, comparisons: the same rows hit."""
    sql = read_sql(text, Kind.FLAG, KINDS, [])

    assert isinstance(sql, Sql), (text, sql)
    assert our_answers(sql, data) == sqlite_answers(text, data)


@settings(max_examples=300)
@given(conditions(), rows)
def test_what_is_called_impossible_never_happens(text, data):
    """A condition that `possible` rules out holds (or fails) for no row within the bounds."""
    sql = read_sql(text, Kind.FLAG, KINDS, [])
    known = Known({"a": Interval(-2.5, 7.25), "b": ANY}, {"s": frozenset(TEXT_VALUES[1:])})

    if not possible(sql.tree, known):
        assert not any(our_answers(sql, data))
    if not possible(sql.tree, known, wanted=False):
        refuted = read_sql(f"NOT ({text})", Kind.FLAG, KINDS, [])
        assert not any(our_answers(refuted, data))


close = st.recursive(
    st.tuples(st.sampled_from("ab"), comparisons, literals).map(" ".join)
    | st.sampled_from(["a >= (-1.0)", "a <= 7.25"])
    | st.sampled_from(["s = 'a'", "s <> 'B'", "s IN ('a', 'B')", "s NOT IN ('a')", "a IN (0.5, 2.0)", "f"])
    | st.tuples(literals, literals).map(lambda p: f"a BETWEEN {p[0]} AND {p[1]}")
    | literals.map(lambda literal: f"coalesce(a, {literal}) > 0.5"),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "AND", "OR"]), inner).map(lambda p: f"({' '.join(p)})"),
        inner.map(lambda c: f"NOT ({c})"),
    ),
    max_leaves=4,
)
"""Conditions on few columns, of which one is often part of the other."""

LEAST = (None, -1.0, 0.0, 0.5, 1.0, 2.0, 7.25)
EVERYTHING = list(product(LEAST, NUMBER_VALUES[:4], (None, True, False), (None,), TEXT_VALUES, (None,)))


@settings(max_examples=500)
@given(close, close)
def test_what_is_called_part_of_another_condition_hits_nothing_else(narrow, wide):
    """Where a column is unknown too."""
    first, second = (read_sql(text, Kind.FLAG, KINDS, []) for text in (narrow, wide))
    known = Known({"a": Interval(-1.0, 7.25), "b": ANY}, {"s": frozenset(TEXT_VALUES[1:])})

    if implies(first.tree, second.tree, known):
        hits = zip(our_answers(first, EVERYTHING), our_answers(second, EVERYTHING), strict=True)
        assert all(inside <= outside for inside, outside in hits)


@settings(max_examples=300)
@given(
    st.text(max_size=60)
    | conditions().flatmap(
        lambda c: st.tuples(st.just(c), st.text(max_size=3), st.integers(0, 60)).map(
            lambda p: p[0][: p[2]] + p[1] + p[0][p[2] :]
        )
    )
)
def test_any_text_is_sql_or_a_list_of_faults(text):
    """No text raises; every fault lies within it and carries a sentence."""
    read = read_sql(text, Kind.FLAG, KINDS, ["watch"])

    if not isinstance(read, Sql):
        assert read
        assert all(0 <= fault.start <= fault.end <= len(text) and fault.sentence for fault in read)
