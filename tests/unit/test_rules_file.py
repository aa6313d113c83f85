"""rules.yaml as data with places: what stands there is what is meant, and faults have a line."""

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from txwatch.errors import InputError
from txwatch.problems import Problem, did_you_mean, render
from txwatch.rulesfile import MAX_BYTES, RulesDocument, load, parse
from txwatch.sections import read_section


def document(text: str) -> RulesDocument:
    found = parse(text.encode(), "rules.yaml")
    assert isinstance(found, RulesDocument), found
    return found


def problems(content: str | bytes) -> list[Problem]:
    found = parse(content.encode() if isinstance(content, str) else content, "rules.yaml")
    assert isinstance(found, list)
    return found


def test_words_stay_words():
    """YAML 1.2: off, NO, yes and 10:30 are text; true, null and numbers are what they look like."""
    data = document("calendar: [off, NO, yes, 10:30, 2025-01-01, true, null, 3, -2.5, 1e3, '3', ~]").section(
        "calendar"
    )

    assert data == ["off", "NO", "yes", "10:30", "2025-01-01", True, None, 3, -2.5, 1000.0, "3", None]


@pytest.mark.parametrize(
    ("content", "place", "sentence"),
    [
        (b"", (1, 1), "empty"),
        (b"- 1", (1, 1), "mapping of sections"),
        (b"version: 1\nruls: []", (2, 1), "unknown section `ruls`"),
        (b"version: 1\nversion: 1", (2, 1), "second time (first in line 1)"),
        (b"lists: &x [*x]", (1, 12), "aliases"),
        (b"lists: !!python/object:os.system {}", (1, 8), "tags"),
        (b"lists: " + b"[" * 40, (1, 27), "deep"),
        (b"lists:\n  - a: [", (2, 9), "expected"),
        (b"lists: \xff", (1, 8), "UTF-8"),
        (b"lists: a\x00b", (1, 9), "does not allow"),
        (b"version: 1\n---\nversion: 1", (2, 1), "another document"),
        (b"? [a]\n: 1", (1, 3), "a key is a word"),
        (b"#" * (MAX_BYTES + 1), (1, 1), "larger than"),
    ],
)
def test_a_file_that_is_no_rules_file_is_a_problem_with_a_place(content, place, sentence):
    """Never an exception, and the line and column of the fault."""
    [problem] = problems(content)

    assert (problem.line, problem.column) == place
    assert sentence in problem.sentence


def test_all_problems_of_the_reading_come_at_once():
    """Two unknown sections and a repeated key are three problems."""
    found = problems("version: 1\nrule: []\nfeature: {}\nversion: 2\n")

    assert [problem.line for problem in found] == [2, 3, 4]
    assert found[0].suggestion == "did you mean `rules`?"


@pytest.mark.parametrize(
    "text",
    [
        "rules:\n  - when: amount > wrong",
        "rules:\n  - when: 'it''s > wrong'",
        'rules:\n  - when: "a \\"b\\" > wrong"',
        "rules:\n  - when: >\n      amount > 3 AND\n      wrong",
        "rules:\n  - when: |\n      amount > 3 AND\n      wrong",
        "rules:\n  - when: amount > 3\n      AND wrong",
    ],
)
def test_a_place_inside_a_text_is_found_however_the_text_was_written(text):
    """Quoted, folded, literal or plain: the caret stands under the word."""
    found = document(text)
    start = found.data_at(("rules", 0, "when")).index("wrong")
    problem = found.problem(("rules", 0, "when"), "unknown", inside=(start, start + 5))

    line = text.split("\n")[problem.line - 1]
    assert line[problem.column - 1 :][: problem.width] == "wrong"


def test_a_rendered_problem_shows_the_line_and_a_caret():
    """Place, level, sentence, suggestion; the line; the caret."""
    problem = Problem(
        file="rules.yaml", line=1, column=7, width=5, sentence="unknown column `amont`", suggestion="fix it"
    )

    assert render(problem, "when: amont > 100") == (
        "rules.yaml:1:7: error: unknown column `amont`, fix it\n"
        "    1 | when: amont > 100\n"
        "      |       ^^^^^"
    )


def test_nothing_near_suggests_nothing():
    """A suggestion is a near word or none."""
    assert did_you_mean("amont", ["amount", "country"]) == "did you mean `amount`?"
    assert did_you_mean("xyz", ["amount", "country"]) == ""


def test_an_unreadable_file_is_an_input_error(tmp_path: Path):
    """A missing file is no problem list: there is nothing to show."""
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "rules.yaml")


class Inner(msgspec.Struct, frozen=True):
    days: int = 1
    word: Literal["low", "high"] = "low"


class Settings(msgspec.Struct):
    limit: float
    inner: Inner = Inner()
    many: dict[str, Inner] = {}
    names: list[str] = []


def test_a_section_becomes_its_struct():
    """The helper for every room: data at a path as a struct, or the default where nothing stands."""
    found = document("detectors:\n  limit: 3\n  inner: {days: 2}\n")

    assert read_section(found, ("detectors",), Settings, Settings(limit=0)) == Settings(
        limit=3.0, inner=Inner(days=2)
    )
    assert read_section(found, ("severity",), Inner, Inner(days=9)) == Inner(days=9)


def test_every_fault_of_a_section_is_reported_at_its_place():
    """A person wants all, where msgspec alone stops at the first."""
    text = "detectors:\n  inner: {days: many, wrd: low}\n  many:\n    a: {word: hihg}\n  names: [x, 3]\n"
    found = read_section(document(text), ("detectors",), Settings, Settings(limit=0))

    assert [(p.line, p.sentence, p.suggestion) for p in sorted(found)] == [
        (1, "`limit` is missing", ""),
        (2, "expected a whole number, got text", ""),
        (2, "unknown key `wrd`", "did you mean `word`?"),
        (4, "`hihg` is none of low, high", "did you mean `high`?"),
        (5, "expected text, got a whole number", "put it in quotes"),
    ]
