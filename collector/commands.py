"""The collector's own commands: `schema` and `quarantine`."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from collector.jsonschema import json_schema
from collector.schema import Schema, load_schema
from txwatch.model import Quarantined
from txwatch.settings import current_settings
from txwatch.workplace import open_workplace

EXAMPLE = {
    "transaction_id": "t-000001",
    "timestamp": "2026-03-02T12:00:00.123Z",
    "user_id": "u000123",
    "merchant_id": "m0042",
    "amount": 41.9,
    "currency": "EUR",
    "status": "approved",
    "channel": "pos",
    "country": "DE",
    "lat": 52.52,
    "lon": 13.405,
}
SHOWN_BYTES = 60

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
        typer.echo(json.dumps({used.column(field): value for field, value in EXAMPLE.items()}))
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
            typer.echo(
                f"{record.received_at:%Y-%m-%d %H:%M:%S}  {_place(record)}  {record.rejected.code}: "
                f"{record.rejected.sentence}  {masked(record.rejected.raw)}"
            )


@quarantine.command()
def show(
    place: Annotated[str, typer.Argument(help="SOURCE:PARTITION:SEQUENCE, as `list` shows it.")],
) -> None:
    """Show one rejected message whole, as it came.

    Example: txwatch quarantine show payments.jsonl@1f0c55a2e3b4:0:17
    """
    found = next((record for record in _records(None, None) if _place(record) == place), None)
    if found is None:
        raise typer.BadParameter(f"nothing in quarantine stands at {place}")
    typer.echo(f"{found.rejected.code}: {found.rejected.sentence}")
    typer.echo(f"{found.rejected.length:,} bytes, sha256 {found.rejected.sha256}, kept:")
    typer.echo(found.rejected.raw.decode(errors="backslashreplace"))


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
            typer.echo(f"{count:>8,}  {code:20} {field:16} {source}")


def masked(raw: bytes) -> str:
    """Return the head of a message with every second letter or digit of a run hidden."""
    head = raw[:SHOWN_BYTES].decode(errors="replace")
    shown = "".join(sign if n % 2 == 0 or not sign.isalnum() else "*" for n, sign in enumerate(head))
    return shown.replace("\n", " ") + ("..." if len(raw) > SHOWN_BYTES else "")


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
        "sample": masked(record.rejected.raw),
    }
