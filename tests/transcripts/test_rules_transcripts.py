"""Stories at the command line: each text file shows files, commands and exactly what they print."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from detectors.rules.commands import mount
from txwatch.errors import InputError

STORIES = sorted(Path(__file__).parent.glob("rules_*.txt"))


def application() -> typer.Typer:
    app = typer.Typer()
    mount(app)
    return app


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_a_story_happens_as_it_is_told(story, tmp_path, monkeypatch):
    """Write the story's files, run its commands, get its words and exit codes."""
    monkeypatch.chdir(tmp_path)
    told = re.findall(
        r"^=== (\S+)\n(.*?)^===$|^\$ txwatch (.*?)\n(.*?)^\(exit (\d)\)$",
        story.read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert told
    for name, content, command, printed, code in told:
        if name:
            Path(name).write_text(content)
            continue
        result = CliRunner().invoke(application(), command.split())

        assert result.output == printed
        assert result.exit_code == int(code)


def test_a_missing_file_is_an_input_error():
    """The command line turns it into one sentence and its exit code."""
    result = CliRunner().invoke(application(), ["rules", "check", "no-such-file.yaml"])

    assert isinstance(result.exception, InputError)


def test_the_schema_and_the_columns_are_printed():
    """Both for people and, with --json, for programs."""
    schema = CliRunner().invoke(application(), ["rules", "schema"])
    columns = CliRunner().invoke(application(), ["rules", "columns"])
    as_json = CliRunner().invoke(application(), ["rules", "columns", "--json"])

    assert '"rules.yaml of txwatch"' in schema.output
    assert "user_amount_median" in columns.output
    assert as_json.output.startswith('[{"name": "transaction_id"')
