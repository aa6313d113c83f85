"""The house keeps its shape: small files, small functions, prose at every door."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("txwatch", "collector", "detectors", "alerts", "grafana")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "util", "helpers", "common", "base", "misc"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def code_lines(function: Function) -> int:
    """Lines of the function without its docstring."""
    body = function.body
    has_docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    start = function.lineno
    docstring = (body[0].end_lineno - body[0].lineno + 1) if has_docstring else 0
    return function.end_lineno - start + 1 - docstring


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_long_or_named_after_nothing(path):
    """A file holds one idea: under 400 lines, named by the idea."""
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in FORBIDDEN_NAMES


def test_no_function_is_over_40_lines_outside_a_command_line():
    """Long functions sit nowhere but in `cli.py`."""
    long = [
        f"{path.relative_to(ROOT)}:{f.lineno} {f.name} has {code_lines(f)} lines"
        for path in SOURCES
        if path.name != "cli.py"
        for f in functions(path)
        if code_lines(f) > 40
    ]

    assert long == []


def test_the_median_function_is_short():
    """Half of all functions have at most eight lines."""
    lengths = [code_lines(f) for path in SOURCES for f in functions(path)]

    assert statistics.median(lengths) <= 8


def test_every_package_opens_with_two_paragraphs():
    """`__init__.py` says what the room is for before any code."""
    for path in SOURCES:
        if path.name == "__init__.py":
            docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
            assert docstring.count("\n\n") >= 1, path.relative_to(ROOT)
