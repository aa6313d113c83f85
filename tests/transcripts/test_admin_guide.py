"""The administrator's guide is followed, word for word, from nothing to a rule in force and back."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from grafana.alerting.installed import editable

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "admin.md").read_text()
STEPS = re.findall(r"^    ((?:txwatch|cp) [^\n]*)$|^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """What each command of the page printed, by command."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "txwatch").write_text(f'#!/bin/sh\nexec {sys.executable} -m txwatch "$@"\n')
    (folder / "txwatch").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TXWATCH_")}
    environment = kept | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    printed = {}
    for command, block in STEPS:
        if block:
            write_below(folder / "draft.yaml", block)
            continue
        done = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        printed[command] = done.stdout
    return printed


def write_below(draft: Path, block: str) -> None:
    """Put a block below the line that its comment names, as the page says."""
    line = re.match(r" *# (\w+:)\n", block)[1]
    text = draft.read_text()
    assert text.count(f"\n{line}\n") == 1
    draft.write_text(text.replace(f"\n{line}\n", f"\n{line}\n{block}", 1))


def one(followed: dict[str, str], word: str) -> str:
    (found,) = [printed for command, printed in followed.items() if command.startswith(word)]
    return found


def test_the_draft_has_nothing_wrong_with_it(followed):
    """Examples, message and description included."""
    assert one(followed, "txwatch rules check") == "draft.yaml: nothing wrong\n"


def test_the_plan_says_what_the_rule_adds(followed):
    """Some alerts, none of them lost."""
    plan = one(followed, "txwatch rules plan")

    assert "+ rule online-spree-on-one-card: high, live" in plan
    assert re.search(r"^  alerts +\d+ +\d+ +[1-9]\d* +0 +\d+$", plan, re.MULTILINE)


def test_the_rule_finds_something_once_it_is_in_force(followed):
    assert "online payments with one card within an hour" in one(followed, "txwatch anomalies --rule")


def test_the_way_back_is_the_third_number(followed):
    assert one(followed, "txwatch rules rollback").startswith("number 3 ")
    assert "+  - id: online-spree-on-one-card" in one(followed, "txwatch rules diff 2")
    assert len(one(followed, "txwatch audit list").splitlines()) == 3


def test_every_alert_rule_that_may_be_edited_is_explained():
    """By the name that it has in Grafana."""
    titles = {rule["title"] for rule in editable()}

    assert titles
    assert [title for title in titles if f"| {title} |" not in PAGE] == []
