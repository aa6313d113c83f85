"""The documents are true where a machine can tell."""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.main import get_command

from detectors.method import Found
from detectors.methods import FEEDBACK, METHODS
from detectors.settings import DetectionSettings, Feedback
from txwatch.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("provisioning/*.md")])
TWO_SCREENS = 110
"""Lines: two screens of 55."""
EACH_METHOD = pytest.mark.parametrize("method", [*METHODS, *FEEDBACK], ids=lambda method: method.name)
PARTS = ("Sees", "Blind", "Settings", "Without it", "Says", "From")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    """Relative links name files that exist."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())

    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]

    assert missing == []


def test_every_command_is_in_the_documents():
    """A command that no page names is a command that nobody finds."""
    text = "\n".join(page.read_text() for page in PAGES)

    missing = [name for name in get_command(app).commands if f"txwatch {name}" not in text]

    assert missing == []


def test_the_architecture_fits_on_two_screens():
    """And names every room."""
    lines = (ROOT / "ARCHITECTURE.md").read_text().splitlines()

    assert len(lines) <= TWO_SCREENS
    for room in ("txwatch/", "collector/", "detectors/", "alerts/", "grafana/"):
        assert any(room in line for line in lines)


def test_paths_named_by_the_architecture_exist():
    """It is true of the checkout as it is."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`((?:txwatch|collector|detectors|alerts|grafana|tests)/[\w/.]+)`", text)

    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_ci_runs_exactly_the_test_command_of_the_readme():
    """One command for everybody."""
    command = "python3 tests/run.py"

    assert f"    {command}\n" in (ROOT / "README.md").read_text()
    assert command in (ROOT / ".ci" / "run").read_text()


def test_every_dependency_is_pinned_with_a_hash():
    """What pyproject names stands in the requirements, pinned."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for file, wanted in (
        ("requirements.txt", project["dependencies"]),
        ("requirements-test.txt", [*project["dependencies"], *project["optional-dependencies"]["test"]]),
    ):
        pinned = re.findall(r"^([a-z0-9-]+)==\S+.*\\\n +--hash=", (ROOT / file).read_text(), re.MULTILINE)
        names = {re.split(r"[\[<>=]", name)[0] for name in wanted} - {"txwatch"}
        assert names <= set(pinned)


def test_the_page_of_methods_has_a_section_for_each_and_no_other():
    """In the order in which they run."""
    sections = re.findall(r"^## `(\w+)`$", (ROOT / "docs/methods.md").read_text(), re.MULTILINE)

    assert sections == [method.name for method in (*METHODS, *FEEDBACK)]


@EACH_METHOD
def test_each_method_says_what_it_asks_its_formula_and_all_parts(method):
    """A question, an indented formula, and a line for each part."""
    question, formula, *_ = _section(method.name).strip().split("\n\n")

    assert question.endswith("?")
    assert formula.startswith("    ")
    assert [part for part in PARTS if not _part(method.name, part)] == []


@EACH_METHOD
def test_the_settings_of_each_method_are_told_with_their_defaults(method):
    """Those of `rules.yaml`; the methods on confirmed frauds share one section."""
    told = _part("merchant_confirmed" if method in FEEDBACK else method.name, "Settings")
    settings = Feedback() if method in FEEDBACK else getattr(DetectionSettings(), method.name)

    wanted = [f"`{name}` {_written(getattr(settings, name))}" for name in settings.__struct_fields__]

    assert [text for text in wanted if not re.search(re.escape(text) + r"(?![\d.]*\d)", told)] == []


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_the_measured_part_of_each_method_is_that_of_the_table(method):
    """Each method left out in turn: the figures of docs/detection.md, and no others."""
    assert _figures(_part(method.name, "Without it")) == _figures(_left_out(f"`{method.name}`"))


def test_what_all_methods_reach_is_that_of_the_table():
    """What each section's figures are held against."""
    head = (ROOT / "docs/methods.md").read_text().partition("\n## ")[0]

    told = head.partition("**Without it**")[2].partition("**Says**")[0]

    assert _figures(told) == _figures(_left_out("nothing"))


@EACH_METHOD
def test_the_sentence_of_each_method_is_the_one_that_it_says(method):
    """Word for word; only the numbers are made up."""
    row = {"timestamp": datetime(2026, 3, 2, 3, 20, tzinfo=UTC), "country": "BR"}
    found = Found(observed=9.0, expected=0.5, size=40, level="entity", currency="EUR", row=row)

    sentence = method(DetectionSettings()).sentence(found)

    assert _without_numbers(_part(method.name, "Says")) == _without_numbers(f'"{sentence}"')


@EACH_METHOD
def test_the_source_of_each_method_names_its_code(method):
    """With the years of the papers that its docstring names."""
    source = _part(method.name, "From")
    files = re.findall(r"`([\w/]+\.py)`", source)

    assert files
    assert [file for file in files if not (ROOT / "detectors" / file).exists()] == []
    assert set(re.findall(r"\w+ (?:19|20)\d\d", method.__doc__)) <= set(re.findall(r"\w+ \d{4}", source))


def _section(name):
    """Return what stands under a method's heading."""
    _, heading, rest = (ROOT / "docs/methods.md").read_text().partition(f"\n## `{name}`\n")
    assert heading
    return rest.partition("\n## ")[0]


def _part(name, part):
    """Return one part of a method's section on one line, empty where it is missing."""
    found = re.search(
        rf"^- \*\*{part}:\*\* (.+?)(?=\n- |\Z)", _section(name).strip(), re.MULTILINE | re.DOTALL
    )
    return " ".join(found[1].split()) if found else ""


def _left_out(name):
    """Return the row of the table of docs/detection.md without this method."""
    table = (ROOT / "docs/detection.md").read_text().partition("left out in turn**")[2]
    return re.search(rf"^\| [^|]*{name}[^|]*\|.*", table, re.MULTILINE)[0]


def _figures(text):
    """Return the measured figures in a text: those with three decimals."""
    return re.findall(r"\d\.\d{3}", text)


def _written(value):
    """Return a default as the page writes it."""
    if isinstance(value, tuple):
        return ", ".join(map(_written, value))
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def _without_numbers(text):
    """Return the words alone."""
    return re.sub(r"\d[\d.,:]*\d|\d", "#", text)
