"""The documents are true where a machine can tell."""

import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from txwatch.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("provisioning/*.md")])
TWO_SCREENS = 110
"""Lines: two screens of 55."""


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
