"""`txwatch rules ...`: check a rules file, and print its JSON Schema."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from detectors.published import PUBLISHED
from detectors.rules.check import ROOM_SECTIONS, Sections, check_bytes
from detectors.rules.schema import json_schema
from txwatch.problems import Problem, errors, render
from txwatch.rulesfile import read_bytes
from txwatch.settings import current_settings
from txwatch.shipped import rules_path

REFUSED = 3
"""Exit code of a file with errors, or, with --strict, with warnings: that of a wrong configuration."""

File = Annotated[
    Path | None, typer.Argument(help="The rules file; else the one that the settings name.", metavar="FILE")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document for programs.")]
Strict = Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")]


def mount(
    app: typer.Typer,
    sections: Sections | None = None,
) -> typer.Typer:
    """Add the group `rules` to the command line and return it; `sections` are those of other rooms."""
    known = {**ROOM_SECTIONS, **(sections or {})}
    group = typer.Typer(
        help="Check rules.yaml, put versions of it into force, and go back.", no_args_is_help=True
    )

    @group.command("check")
    def _check(file: File = None, *, as_json: AsJson = False, strict: Strict = False) -> None:
        """Show everything that is wrong with a rules file, and run the examples that its rules carry.

        Exit code 0: usable; 3: not usable (with --strict: or a warning).

        Example: txwatch rules check rules.yaml
        """
        path = file or rules_path(current_settings())
        raise typer.Exit(show_problems(path, known, as_json=as_json, strict=strict))

    @group.command("schema")
    def _schema() -> None:
        """Print the JSON Schema of rules.yaml, for editors.

        Example: txwatch rules schema > rules.schema.json
        """
        sys.stdout.write(json.dumps(json_schema(known), indent=2) + "\n")

    @group.command("columns")
    def _columns(*, as_json: AsJson = False) -> None:
        """List the columns that a rule may read, with their definitions.

        Example: txwatch rules columns
        """
        sys.stdout.write(columns_text(as_json=as_json))

    app.add_typer(group, name="rules")
    return group


def show_problems(file: Path, sections: Sections, *, as_json: bool, strict: bool) -> int:
    """Print all problems of a file and return the exit code."""
    content = read_bytes(file)
    problems = check_bytes(content, str(file), sections)
    refused = bool(problems) if strict else bool(errors(problems))
    if as_json:
        body = {"file": str(file), "usable": not errors(problems), "problems": msgspec.to_builtins(problems)}
        sys.stdout.write(json.dumps(body) + "\n")
    else:
        sys.stdout.write(problems_text(problems, content.decode("utf-8-sig", errors="replace"), str(file)))
    return REFUSED if refused else 0


def problems_text(problems: Sequence[Problem], source: str, file: str) -> str:
    """Return the problems as people read them, and a last line that sums them up."""
    shown = [render(problem, source) for problem in problems]
    wrong = len(errors(problems))
    counted = f"{_count(wrong, 'error')}, {_count(len(problems) - wrong, 'warning')}"
    return "\n".join([*shown, f"{file}: {counted if problems else 'nothing wrong'}"]) + "\n"


def columns_text(*, as_json: bool) -> str:
    """Return the published columns, one a line, or as JSON."""
    if as_json:
        rows = [
            {"name": c.name, "type": str(c.dtype), "definition": c.definition} for c in PUBLISHED.values()
        ]
        return json.dumps(rows) + "\n"
    width = max(map(len, PUBLISHED))
    return "".join(f"{c.name:<{width}}  {c.definition}\n" for c in PUBLISHED.values())


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
