"""Stories of the collector at the command line: files, commands, and exactly what they print."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import collector.cli
from txwatch.errors import TxwatchError

STORIES = sorted(Path(__file__).parent.glob("collector_*.txt"))


def application() -> typer.Typer:
    app = typer.Typer()
    collector.cli.mount(app)
    return app


def told_by(story):
    """The story's files and commands, in order: (file, content, command, printed, exit code)."""
    return re.findall(
        r"^=== (\S+)\n(.*?)^===$|^\$ txwatch (.*?)\n(.*?)^\(exit (\d)\)$", story, re.MULTILINE | re.DOTALL
    )


def answer(command):
    """What a command prints and its exit code; times of day, which nobody can tell, become TIME."""
    result = CliRunner().invoke(application(), command.split())
    printed, code = result.output, result.exit_code
    if isinstance(result.exception, TxwatchError):
        printed, code = f"{printed}txwatch: {result.exception}\n", result.exception.exit_code
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return re.sub(r"20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*(Z|\+00:00)?", "TIME", printed), code


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_a_story_happens_as_it_is_told(story, tmp_path, monkeypatch):
    """Write the story's files, run its commands, get its words and exit codes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TXWATCH_HOME", "home")
    told = told_by(story.read_text())
    assert told
    for name, content, command, printed, code in told:
        if name:
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_text(content)
            continue
        assert (command, *answer(command)) == (command, printed, int(code))
