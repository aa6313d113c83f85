"""The collector's own commands: `schema` and `quarantine`."""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.status import Status

from collector.jsonschema import example_message, json_schema
from collector.live import LiveWindow, live_window
from collector.masking import masked, printable
from collector.quarantine import Choice, chosen, facts, open_quarantine, place
from collector.replay import Plan, Replay, plan, reader
from collector.retention import kept_transactions
from collector.schema import Schema, load_schema
from txwatch.errors import UsageError
from txwatch.model import Quarantined
from txwatch.settings import current_settings
from txwatch.workplace import Workplace

quarantine = typer.Typer(
    name="quarantine", no_args_is_help=True, help="Messages that did not become transactions, and why."
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
Field = Annotated[str | None, typer.Option("--field", help="Only where this field is to blame.")]
Source = Annotated[str | None, typer.Option("--source", help="Only from this topic, file or listener.")]
From = Annotated[
    str | None, typer.Option("--from", help="A kafka:// address, for its dead letters; else TXWATCH_SOURCE.")
]
Limit = Annotated[int, typer.Option(min=1, help="At most so many, the newest.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@quarantine.command("list")
def list_records(
    reason: Code = None,
    field: Field = None,
    source: Source = None,
    limit: Limit = 20,
    address: From = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List rejected messages, the newest first, with masked samples.

    Example: txwatch quarantine list --reason missing_field
    """
    for record in _records(address, Choice(reason=reason, field=field, source=source), limit):
        if as_json:
            typer.echo(msgspec.json.encode(facts(record)))
        else:
            when = f"{record.received_at:%Y-%m-%d %H:%M:%S}"
            why = f"{record.rejected.code}: {record.rejected.sentence}"
            typer.echo(printable(f"{when}  {place(record)}  {why}  {masked(record.rejected.raw)}"))


@quarantine.command()
def show(
    where: Annotated[
        str, typer.Argument(metavar="PLACE", help="SOURCE:PARTITION:SEQUENCE, as `list` shows it.")
    ],
    address: From = None,
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="The message itself, unmasked and byte for byte.")
    ] = False,
) -> None:
    """Show everything that is known of one rejected message; masked, unless --raw.

    Exit code 1 if nothing stands there.

    Example: txwatch quarantine show payments.jsonl@1f0c55a2e3b4:0:17
    """
    found = next((record for record in _records(address, Choice(), None) if place(record) == where), None)
    if found is None:
        typer.echo(f"txwatch: nothing in quarantine stands at {printable(where)}", err=True)
        raise typer.Exit(1)
    if raw:
        typer.get_binary_stream("stdout").write(found.rejected.raw + b"\n")
        return
    for name, value in facts(found).items():
        typer.echo(printable(f"{name:12} {'-' if value is None else value}"))


@quarantine.command()
def stats(address: From = None, *, as_json: AsJson = False) -> None:
    """Count rejected messages by reason, field and source.

    Example: txwatch quarantine stats
    """
    for (code, field, source), count in _counted(_records(address, Choice(), None)):
        if as_json:
            typer.echo(json.dumps({"reason": code, "field": field, "source": source, "count": count}))
        else:
            typer.echo(printable(f"{count:>8,}  {code:20} {field:16} {source}"))


@quarantine.command()
def replay(
    reason: Code = None,
    field: Field = None,
    source: Source = None,
    file: Annotated[Path | None, typer.Option("--schema", help="Today's schema file.")] = None,
    address: From = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, do nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read rejected messages again by today's schema; what is a transaction now is stored and scored.

    What was stored leaves the quarantine, the rest stays.  Safe to repeat, and after any interruption.

    Example: txwatch quarantine replay --reason missing_field --schema schema.yaml --dry-run
    """
    path = file or (Path(current_settings().schema) if current_settings().schema else None)
    used = load_schema(path) if path else Schema()
    with (
        open_quarantine(address, writer=not dry_run) as (workplace, kept),
        _busy("reading the messages again"),
    ):
        work = Replay(workplace.settings.home_path, workplace.store, kept)
        before = 0 if dry_run else work.finish()
        choice = Choice(reason=reason, field=field, source=source)
        planned = plan(chosen(kept, choice), reader(used, _window(workplace)))
        stored = before if dry_run else before + work.carry_out(planned)
        if stored:
            workplace.ledger.record("command line", "quarantine replayed", {"stored": stored})
    _tell_replay(planned, stored, dry_run=dry_run, as_json=as_json)


@quarantine.command()
def drop(
    reason: Code = None,
    field: Field = None,
    source: Source = None,
    address: From = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete rejected messages for good; how many and why goes into the audit.

    Example: txwatch quarantine drop --reason time_out_of_range --yes
    """
    choice = Choice(reason=reason, field=field, source=source)
    if choice.is_everything() != everything:
        raise UsageError("say which: --reason, --field or --source, or --all on its own")
    with open_quarantine(address) as (workplace, kept):
        found = chosen(kept, choice)
        if found and not yes:
            _confirm(len(found))
        kept.drop(found)
        if found:
            told = {**msgspec.structs.asdict(choice), "dropped": len(found)}
            workplace.ledger.record("command line", "quarantine dropped", told)
    typer.echo(f"{len(found):,} dropped", err=True)


def _records(address: str | None, choice: Choice, limit: int | None) -> list[Quarantined]:
    with open_quarantine(address) as (_, kept), _busy("reading the quarantine"):
        return chosen(kept, choice, limit)


def _busy(what: str) -> Status:
    return Console(stderr=True).status(what)


def _window(workplace: Workplace) -> LiveWindow | None:
    """The embedded store takes any time; InfluxDB only those that it keeps."""
    if workplace.settings.store_url.startswith("sqlite:"):
        return None
    return live_window(workplace.clock.now(), kept_transactions(workplace.settings))


def _counted(records: Iterable[Quarantined]) -> list[tuple[tuple[str, str, str], int]]:
    return Counter(
        (record.rejected.code, record.rejected.field or "", record.source) for record in records
    ).most_common()


def _tell_replay(planned: Plan, stored: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        figures = {"readable": len(planned.records), "stored": stored, "staying": len(planned.refused)}
        typer.echo(json.dumps(figures | {"dry_run": dry_run}))
        return
    if dry_run:
        typer.echo(f"{len(planned.records):,} would be stored, {len(planned.refused):,} would stay")
    else:
        typer.echo(f"{stored:,} stored, {len(planned.refused):,} stay")
    for (code, field, source), count in _counted(planned.refused):
        typer.echo(printable(f"{count:>8,}  {code:20} {field:16} {source}"))


def _confirm(count: int) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"{count:,} would be deleted for good; say --yes")
    typer.confirm(f"delete {count:,} for good?", abort=True)
