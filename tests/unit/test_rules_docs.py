"""docs/rules.md says what is true: columns, functions, keys and checks are the code's; its examples run."""

import re
from pathlib import Path

import pytest

from detectors.published import PUBLISHED
from detectors.rules.check import CHECKS, check_bytes
from detectors.rules.features import KINDS
from detectors.rules.kinds import kind_of
from detectors.rules.operators import FUNCTIONS
from detectors.rules.spec import RuleSpec
from txwatch.rulesfile import SECTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()


def test_the_page_lists_every_column_with_its_definition():
    """Word for word as published."""
    rows = [f"| `{c.name}` | {kind_of(c.dtype).value} | {c.definition} |" for c in PUBLISHED.values()]

    assert [row for row in rows if row not in PAGE] == []


@pytest.mark.parametrize(
    "words",
    [SECTIONS, RuleSpec.__struct_fields__, KINDS, FUNCTIONS, [check.__name__ for check in CHECKS]],
    ids=["sections", "keys of a rule", "kinds of features", "functions", "checks"],
)
def test_the_page_names_everything_that_may_be_written(words):
    """Nothing that the code knows is missing from the reference."""
    assert [word for word in words if not re.search(rf"`[^`\n]*\b{word}\b[^`\n]*`", PAGE)] == []


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_of_the_page_have_nothing_wrong_with_them(example):
    """Whoever copies one starts from a file without a warning."""
    assert check_bytes(example.encode(), "rules.yaml") == []
