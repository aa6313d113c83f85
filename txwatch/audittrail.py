"""The commands about the audit: who did what, and whether anybody changed that afterwards."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from txwatch.errors import TxwatchError
from txwatch.ledger import Ledger
from txwatch.ports import AuditRecord
from txwatch.settings import current_settings
from txwatch.workplace import opened_ledger

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
PAGE = 1000

commands = typer.Typer(no_args_is_help=True, help="Who did what: a chain that nobody changes unnoticed.")


def mount(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.add_typer(commands, name="audit")


@commands.command("list")
def list_records(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    action: Annotated[str, typer.Option(help="Whose action has this in it, such as rules.")] = "",
    actor: Annotated[str, typer.Option(help="Of this account.")] = "",
    since: Annotated[datetime | None, typer.Option(help="From this time (UTC).")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List records, the newest last.

    Example: txwatch audit list --action rules --since 2026-03-01
    """
    after = since.replace(tzinfo=UTC).timestamp() if since else float("-inf")
    with opened_ledger(current_settings()) as ledger:
        found = [
            each
            for each in _records(ledger)
            if action in each.action and actor in {"", each.actor} and each.at >= after
        ]
    for each in found[-limit:]:
        typer.echo(msgspec.json.encode(_facts(each)) if as_json else _line(each))


@commands.command()
def verify(
    has: Annotated[str, typer.Option(help="A last hash of before, which must still be there.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Check every record against the one before it; exit code 1 if one was changed, put in or taken out.

    Nothing in the chain shows that its newest records were cut off: keep the last hash that is printed
    somewhere else, and give it with --has the next time.  Example: txwatch audit verify
    """
    with opened_ledger(current_settings()) as ledger:
        broken = ledger.verify()
        hashes = [each.hash for each in _records(ledger)]
    last = hashes[-1] if hashes else ""
    if as_json:
        typer.echo(msgspec.json.encode({"records": len(hashes), "broken": broken, "last": last}))
    if broken is not None:
        raise TxwatchError(f"audit record {broken} was changed afterwards; those before it are sound")
    if has and has not in hashes:
        raise TxwatchError(f"no record has the hash {has}: records were cut off at the end")
    if not as_json:
        typer.echo(f"{len(hashes):,} records are sound; the last hash is {last or 'none'}")


def _records(ledger: Ledger) -> Iterator[AuditRecord]:
    after = 0
    while page := ledger.audited(after, PAGE):
        yield from page
        after = page[-1].number


def _line(record: AuditRecord) -> str:
    facts = msgspec.json.decode(record.facts)
    said = ", ".join(f"{name}: {value}" for name, value in facts.items())
    at = datetime.fromtimestamp(record.at, UTC)
    return f"{record.number:>5}  {at:%Y-%m-%d %H:%M:%S}  {record.actor}  {record.action}  {said}"


def _facts(record: AuditRecord) -> dict[str, object]:
    at = datetime.fromtimestamp(record.at, UTC)
    return msgspec.structs.asdict(record) | {"at": at, "facts": msgspec.json.decode(record.facts)}
