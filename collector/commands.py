"""The collector's own commands: `schema` and `quarantine`."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from collector.jsonschema import example_message, json_schema
from collector.masking import masked, printable
from collector.schema import Schema, load_schema
from txwatch.model import Quarantined
from txwatch.settings import current_settings
from txwatch.workplace import open_workplace

quarantine = typer.Typer(
    name="quarantine", no_args_is_help=True, help="Look at messages that did not become transactions."
)


def mount(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command()(schema)
    app.add_typer(quarantine)


def schema(
    file: Annotated[Path | None, typer.Option("--schema", help="A producer's schema file.")] = None,
    *,
    example: Annotated[bool, typer.Option("--example", help="Print a message instead.")] = False,
) -> None:
    """Print what a producer has to send, as JSON Schema.

    Example: txwatch schema --example
    """
    used = load_schema(file) if file else Schema()
    if example:
        typer.echo(json.dumps(example_message(used)))
        return
    typer.echo(json.dumps(json_schema(used), indent=2))


Code = Annotated[str | None, typer.Option("--reason", help="Only this code, for example missing_field.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many, the newest.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@quarantine.command("list")
def list_records(reason: Code = None, limit: Limit = 20, *, as_json: AsJson = False) -> None:
    """List rejected messages, the newest first, with masked samples.

    Example: txwatch quarantine list --reason missing_field
    """
    for record in _records(reason, limit):
        if as_json:
            typer.echo(msgspec.json.encode(_facts(record)))
        else:
            when = f"{record.received_at:%Y-%m-%d %H:%M:%S}"
            why = f"{record.rejected.code}: {record.rejected.sentence}"
            typer.echo(printable(f"{when}  {_place(record)}  {why}  {masked(record.rejected.raw)}"))


@quarantine.command()
def show(
    place: Annotated[str, typer.Argument(help="SOURCE:PARTITION:SEQUENCE, as `list` shows it.")],
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="The message itself, unmasked and byte for byte.")
    ] = False,
) -> None:
    """Show everything that is known of one rejected message; masked, unless --raw.

    Exit code 1 if nothing stands there.

    Example: txwatch quarantine show payments.jsonl@1f0c55a2e3b4:0:17
    """
    found = next((record for record in _records(None, None) if _place(record) == place), None)
    if found is None:
        typer.echo(f"txwatch: nothing in quarantine stands at {printable(place)}", err=True)
        raise typer.Exit(1)
    if raw:
        typer.get_binary_stream("stdout").write(found.rejected.raw + b"\n")
        return
    for name, value in _facts(found).items():
        typer.echo(printable(f"{name:12} {'-' if value is None else value}"))


@quarantine.command()
def stats(*, as_json: AsJson = False) -> None:
    """Count rejected messages by reason, field and source.

    Example: txwatch quarantine stats
    """
    counts = Counter(
        (record.rejected.code, record.rejected.field or "", record.source) for record in _records(None, None)
    )
    for (code, field, source), count in counts.most_common():
        if as_json:
            typer.echo(json.dumps({"reason": code, "field": field, "source": source, "count": count}))
        else:
            typer.echo(printable(f"{count:>8,}  {code:20} {field:16} {source}"))


def _records(code: str | None, limit: int | None) -> list[Quarantined]:
    with open_workplace(current_settings(), writer=False) as workplace:
        return workplace.store.quarantined(code=code, limit=limit)


def _place(record: Quarantined) -> str:
    return f"{record.source}:{record.partition}:{record.sequence}"


def _facts(record: Quarantined) -> dict[str, object]:
    return {
        "place": _place(record),
        "received_at": record.received_at,
        "reason": record.rejected.code,
        "field": record.rejected.field,
        "sentence": record.rejected.sentence,
        "length": record.rejected.length,
        "sha256": record.rejected.sha256,
        "sample": masked(record.rejected.raw),
    }
