"""The commands under `txwatch alerts`."""

import getpass
from typing import Annotated

import msgspec
import typer

from alerts.acknowledging import acknowledge
from alerts.administer.opened import alert_settings, needed_group, opened_book, opened_ledger
from alerts.administer.rehearsing import cli as rehearsing
from alerts.administer.showing import Shown, silence_end, when
from alerts.administer.silencing import cli as silencing
from alerts.groups import Group
from alerts.notice import Notice, title
from alerts.notifier import read_silences
from alerts.quiet import quieting
from txwatch.errors import UsageError
from txwatch.pseudonym import pseudonyms_of
from txwatch.settings import current_environment

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
STATES = ("waiting", "sending", "sent", "dead")
Limit = Annotated[int, typer.Option(min=1, help="At most so many, the newest.")]
GroupId = Annotated[str, typer.Argument(metavar="GROUP", help="As `txwatch alerts list` shows it.")]

app = typer.Typer(no_args_is_help=True, help="Groups of alerts, why they were told, silences, the outbox.")
app.add_typer(silencing.app, name="silence")


@app.command("list")
def list_groups(limit: Limit = 50, *, closed: bool = False, as_json: AsJson = False) -> None:
    """List groups of alerts, the last changed first; --closed shows those that are over too.

    Example: txwatch alerts list
    """
    with opened_book() as (book, _):
        groups = [
            msgspec.json.decode(document, type=Group)
            for document in book.groups(limit=limit, only_open=not closed)
        ]
    shown = _shown()
    for group in groups:
        typer.echo(shown.as_json(group) if as_json else shown.line(group))
    if not groups and not as_json:
        typer.echo("no group is open")


@app.command()
def show(group: GroupId, *, as_json: AsJson = False) -> None:
    """Show one group: who is concerned, the worst anomalies with their reasons, what was told.

    Example: txwatch alerts show 5b0c7aa1d2e3
    """
    with opened_book() as (book, now):
        found = needed_group(book, group)
        told = [each for each in book.decisions(group) if each.anomaly_id is None]
        silence = quieting(found, read_silences(book), now.timestamp(), pseudonyms_of(current_environment()))
    shown = _shown()
    if as_json:
        typer.echo(shown.as_json(found))
        return
    for line in (shown.line(found), *shown.details(found)):
        typer.echo(line)
    for decision in told:
        typer.echo(f"  {when(decision.at)} {decision.verdict}: {decision.reason}")
    if silence is not None and found.open:
        typer.echo(
            f"  silence {silence.silence_id} is about it: nothing is repeated until {silence_end(silence)}"
        )


@app.command()
def why(
    subject: Annotated[str, typer.Argument(metavar="ID", help="Of an anomaly or of a group.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell why somebody was or was not told of an anomaly, or of a group.

    Example: txwatch alerts why 1f0c55a2e3b49d07
    """
    with opened_book() as (book, _):
        found = book.decisions(subject)
        groups = sorted({each.group_id for each in found if each.group_id and each.group_id != subject})
        found += [each for group in groups for each in book.decisions(group) if each.anomaly_id is None]
    if not found:
        told = f"txwatch: nothing was decided about {subject}; ids of anomalies are in `txwatch anomalies`"
        typer.echo(f"{told}, those of groups in `txwatch alerts list --closed`", err=True)
        raise typer.Exit(1)
    for each in found:
        about = each.anomaly_id or f"group {each.group_id}"
        line = f"{when(each.at)} {about}: {each.verdict}: {each.reason}"
        typer.echo(msgspec.json.encode(each).decode() if as_json else line)


@app.command()
def ack(
    group: GroupId, by: Annotated[str, typer.Option(help="Who; otherwise the user of this machine.")] = ""
) -> None:
    """Acknowledge a group: somebody looks at it, and it is not repeated.  Its message says so.

    Example: txwatch alerts ack 5b0c7aa1d2e3 --by ada
    """
    actor = by or getpass.getuser()
    with opened_ledger() as (ledger, now):
        acknowledge(ledger.alerts(), group, actor, now.timestamp())
    typer.echo(f"group {group} is acknowledged by {actor}")


@app.command()
def outbox(
    limit: Limit = 50,
    only: Annotated[str | None, typer.Option("--state", help="waiting, sending, sent or dead.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List notifications with what became of them, the newest first.

    Example: txwatch alerts outbox --state dead
    """
    if only is not None and only not in STATES:
        raise UsageError(f"--state is one of {', '.join(STATES)}, not {only!r}")
    with opened_book() as (book, _):
        found = book.outbox(limit=limit, state=only)
    if not found and not as_json:
        typer.echo("no notification is there")
    for each in found:
        notice = msgspec.json.decode(each.document, type=Notice)
        line = f"{when(each.written_at)} {each.state:7} {each.channel} {each.key}: {title(notice)}"
        if as_json:
            facts = {**msgspec.structs.asdict(each), "document": notice}
            typer.echo(msgspec.json.encode(facts).decode())
        else:
            typer.echo(f"{line} ({each.attempts} tries; {each.answer or 'not tried yet'})")


@app.command()
def retry(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As `txwatch alerts outbox` shows it.")],
) -> None:
    """Try a dead notification again, when what stopped it is mended.

    Example: txwatch alerts retry 5b0c7aa1d2e3.1.ops-slack
    """
    with opened_book() as (book, now):
        if not book.retry(key, now.timestamp(), getpass.getuser()):
            raise UsageError(
                f"no notification {key} is dead; `txwatch alerts outbox --state dead` lists them"
            )
    typer.echo(f"{key} is tried again")


def _shown() -> Shown:
    return Shown(alert_settings(), current_environment())


rehearsing.mount(app)
