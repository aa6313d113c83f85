"""The commands under `txwatch suppressions`."""

from datetime import datetime
from typing import Annotated

import msgspec
import typer

from alerts.administer.opened import alert_settings, opened_book
from alerts.administer.showing import conditions, when
from alerts.hiding import Hiding, hidings
from txwatch.settings import current_environment

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]

app = typer.Typer(no_args_is_help=True, help="Everything that hides anomalies from messages, as one list.")


@app.callback()
def group() -> None:
    """Keep `list` a command of its own."""


@app.command("list")
def list_all(
    *, over: Annotated[bool, typer.Option(help="Those that are over too.")] = False, as_json: AsJson = False
) -> None:
    """List suppressions of the rules file and silences: owner, reason, end, and how much each hid.

    Suppressions are edited in rules.yaml, silences with `txwatch alerts silence`.

    Example: txwatch suppressions list
    """
    with opened_book() as (book, now):
        found = [
            each for each in hidings(book, alert_settings().suppressions, now) if over or each.state != "over"
        ]
    for each in found:
        typer.echo(msgspec.json.encode(each) if as_json else _line(each))
    if not found and not as_json:
        typer.echo("nothing is hidden from anybody")


def _line(each: Hiding) -> str:
    until = f"{each.until:%Y-%m-%d %H:%M}" if isinstance(each.until, datetime) else f"{each.until}"
    last = "" if each.hid_last is None else f", the last one {when(each.hid_last)}"
    said = ", ".join(conditions(each.match, current_environment()))
    about = f"{each.kind} {each.name} {each.state} until {until}, {each.owner}: {each.reason} ({said})"
    return f"{about}; hid {each.hid:,}{last}"
