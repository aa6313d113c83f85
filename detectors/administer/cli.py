"""The commands under `txwatch rules` that put versions into force, show them, and go back."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from detectors.administer import seconding
from detectors.administer.putting import tell_in_force
from detectors.administer.showing import difference, facts, line
from detectors.administer.trying import plan, stats
from detectors.configuration import read_configuration
from detectors.inforce import refuse_faults
from detectors.rules.check import Sections
from txwatch.administering import Administration, administration
from txwatch.errors import ConfigurationError, TxwatchError, UsageError
from txwatch.ledger import RulesShelf
from txwatch.model import RulesVersion
from txwatch.settings import Settings, current_settings
from txwatch.workplace import opened_ledger

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
Number = Annotated[int, typer.Argument(metavar="N", help="As `txwatch rules history` shows it.")]
Reason = Annotated[str, typer.Option(help="Why; whoever asks later reads it.")]


def mount(group: typer.Typer, sections: Sections) -> None:
    """Add the commands to the group `rules`; `sections` are the types that the file is checked against."""
    group.command()(history)
    group.command()(show)
    group.command()(diff)
    group.command()(rollback)
    group.command()(stats)
    seconding.mount(group)

    @group.command("apply")
    def _apply(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="The edited rules file.")],
        reason: Reason,
        *,
        unblock: Annotated[bool, typer.Option("--unblock", help="Even if it was rolled back.")] = False,
    ) -> None:
        """Put a rules file into force under the next number; running detectors take it within seconds.

        The guard watches the change.  The rules file in use is made to say the same.

        Example: txwatch rules apply draft.yaml --reason "card testing from new devices"
        """
        apply(file, reason, sections, unblock=unblock)

    @group.command("plan")
    def _plan(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="The edited rules file.")],
        days: Annotated[float, typer.Option(min=0.01, help="So much of the stored past counts.")] = 7.0,
        warm_up: Annotated[float, typer.Option(min=0.0, help="Days before it, to know what is usual.")] = 7.0,
        *,
        as_json: AsJson = False,
    ) -> None:
        """Say what an edited rules file would do: what it changes, and whom it would have called.

        It is tried on the stored past beside the rules in force.  What it finds is what the guard expects
        when these rules come into force.

        Example: txwatch rules plan draft.yaml --days 7
        """
        plan(file, sections, days=days, warm_up=warm_up, as_json=as_json)


def history(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 20,
    *,
    as_json: AsJson = False,
) -> None:
    """List the versions of rules.yaml, the newest first: number, time, hash, state, who and why.

    Example: txwatch rules history
    """
    with opened_ledger(current_settings()) as ledger:
        shelf = ledger.rules()
        found, (head, _), blocked = shelf.newest(limit), shelf.head(), shelf.blocked()
    for version in found:
        typer.echo(
            msgspec.json.encode(facts(version, head, blocked)) if as_json else line(version, head, blocked)
        )
    if not found and not as_json:
        typer.echo("no rules were in force yet")


def show(number: Number, *, as_json: AsJson = False) -> None:
    """Print the rules file as it was in a version; with --json also who, when, why, and the lists beside it.

    Example: txwatch rules show 3
    """
    with opened_ledger(current_settings()) as ledger:
        shelf = ledger.rules()
        found, (head, _), blocked = _numbered(shelf, number), shelf.head(), shelf.blocked()
    if as_json:
        texts = {name: content.decode(errors="replace") for name, content in found.beside.items()}
        whole = {"content": found.content.decode(errors="replace"), "beside": texts}
        typer.echo(msgspec.json.encode(facts(found, head, blocked) | whole))
    else:
        typer.echo(found.content.decode("utf-8-sig", errors="replace"), nl=False)


def diff(
    number: Number,
    other: Annotated[int | None, typer.Argument(metavar="M", help="Up to this one.")] = None,
) -> None:
    """Show what a version changed, or what differs from version N to version M.

    Example: txwatch rules diff 3
    """
    with opened_ledger(current_settings()) as ledger:
        shelf = ledger.rules()
        first = _numbered(shelf, number)
        before = shelf.numbered(number - 1) if other is None else first
        after = first if other is None else _numbered(shelf, other)
    typer.echo(difference(before, after), nl=False)


def rollback(number: Number, reason: Reason) -> None:
    """Put an earlier version into force again, under a new number; running detectors take it within seconds.

    Example: txwatch rules rollback 3 --reason "number 4 alerts on every refund"
    """
    settings = current_settings()
    wanted = {"number": number, "reason": _needed(reason)}
    with administration(settings, "rules rollback", wanted) as admin:
        shelf = admin.ledger.rules()
        found = _numbered(shelf, number)
        given = msgspec.structs.replace(
            found, actor=admin.actor, reason=f"back to {number}: {reason.strip()}"
        )
        _put(settings, admin, given, "rules rolled back")


def apply(file: Path, reason: str, sections: Sections, *, unblock: bool) -> None:
    """Put a file into force, or propose it where a second person is needed.

    Raises ConfigurationError for one with faults, or that is blocked.
    """
    settings = current_settings()
    wanted = {"file": str(file), "reason": _needed(reason)}
    with administration(settings, "rules apply", wanted) as admin:
        refuse_faults(file, sections)
        given = read_configuration(file).as_version(admin.actor, reason.strip())
        shelf = admin.ledger.rules()
        blocked = shelf.blocked()
        if given.version in blocked and not unblock:
            raise ConfigurationError(
                f"these rules ({given.version}) were rolled back and stay out: {blocked[given.version]}; "
                "--unblock lets them in again"
            )
        before = next(iter(shelf.newest(1)), None)
        why = "" if before is None else seconding.why_second(file, before, given)
        if why:
            typer.echo(seconding.proposed(shelf, given, why))
        else:
            _put(settings, admin, given, "rules applied")


def _put(settings: Settings, admin: Administration, given: RulesVersion, action: str) -> None:
    shelf = admin.ledger.rules()
    before = next(iter(shelf.newest(1)), None)
    kept = shelf.applied(given, action)
    if before is not None and kept.number == before.number:
        raise TxwatchError(f"this is what is in force already (number {kept.number}, {kept.version})")
    tell_in_force(settings, shelf, before, kept)


def _numbered(shelf: RulesShelf, number: int) -> RulesVersion:
    found = shelf.numbered(number)
    if found is None:
        raise UsageError(f"there is no version {number}; `txwatch rules history` lists them")
    return found


def _needed(reason: str) -> str:
    if not reason.strip():
        raise UsageError("--reason is empty: say why")
    return reason.strip()
