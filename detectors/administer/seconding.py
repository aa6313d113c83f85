"""Changes that a second person has to approve: which ones, and the commands that decide them.

Whether that is needed says the version in force (`detectors.guard.second_person`), so that nobody can
switch it off alone.  Going back to an earlier version needs nobody else: in an emergency there may be nobody.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from detectors.administer.putting import tell_in_force
from detectors.administer.showing import difference
from detectors.configuration import drafted, known_configuration
from detectors.planning.differing import severe_changes
from txwatch.administering import administration
from txwatch.errors import UsageError
from txwatch.ledger import RulesShelf
from txwatch.model import RulesProposal, RulesVersion
from txwatch.settings import current_settings
from txwatch.workplace import opened_ledger

Number = Annotated[int, typer.Argument(metavar="N", help="As `txwatch rules proposals` shows it.")]
Reason = Annotated[str, typer.Option(help="Why; the author and the audit read it.")]


def mount(group: typer.Typer) -> None:
    """Add the commands to the group `rules`."""
    group.command()(proposals)
    group.command()(approve)
    group.command()(reject)


def why_second(file: Path, before: RulesVersion, given: RulesVersion) -> str:
    """Return why a change needs a second person, empty where it does not."""
    if before.content == given.content and before.beside == given.beside:
        return ""
    wanted = known_configuration(file, before.content, before.beside).guard.second_person
    if wanted == "all":
        return "every change needs a second person"
    if wanted == "none":
        return ""
    old, new = (drafted(file, each.content, each.beside) for each in (before, given))
    severe = severe_changes(old, new)
    return f"it changes {', '.join(severe)}" if severe else ""


def proposed(shelf: RulesShelf, given: RulesVersion, why: str) -> str:
    """Keep a proposal; return a sentence about it."""
    kept = shelf.propose(given)
    return (
        f"proposal {kept.number} ({given.version}) waits for somebody else, since {why}: "
        f"`txwatch rules approve {kept.number}`"
    )


def proposals(
    number: Annotated[int | None, typer.Argument(metavar="N", help="What this one changes.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
) -> None:
    """List the changes that wait for a second person, and those that did; or show what one changes.

    Example: txwatch rules proposals 3
    """
    with opened_ledger(current_settings()) as ledger:
        shelf = ledger.rules()
        found = shelf.proposals()
        if number is not None:
            one = _numbered(found, number)
            after = msgspec.structs.replace(one.wanted, number=one.base + 1)
            typer.echo(difference(shelf.numbered(one.base), after), nl=False)
            return
    for each in found:
        typer.echo(msgspec.json.encode(_facts(each)) if as_json else _line(each))
    if not found and not as_json:
        typer.echo("nothing was proposed")


def approve(number: Number, reason: Reason) -> None:
    """Put a proposal of somebody else into force under the next number.

    Example: txwatch rules approve 3 --reason "tried on last week: four more alerts a day"
    """
    settings = current_settings()
    with administration(settings, "rules approve", _wanted(number, reason)) as admin:
        shelf = admin.ledger.rules()
        before = next(iter(shelf.newest(1)), None)
        kept = shelf.decided(number, admin.actor, reason.strip(), approved=True)
        if kept is not None:
            tell_in_force(settings, shelf, before, kept)


def reject(number: Number, reason: Reason) -> None:
    """Say that a proposal does not come into force; its author may do so too.

    Example: txwatch rules reject 3 --reason "alerts on every refund"
    """
    with administration(current_settings(), "rules reject", _wanted(number, reason)) as admin:
        admin.ledger.rules().decided(number, admin.actor, reason.strip(), approved=False)
    typer.echo(f"proposal {number} is rejected")


def _wanted(number: int, reason: str) -> dict[str, object]:
    if not reason.strip():
        raise UsageError("--reason is empty: say why")
    return {"proposal": number, "reason": reason.strip()}


def _numbered(found: list[RulesProposal], number: int) -> RulesProposal:
    for each in found:
        if each.number == number:
            return each
    raise UsageError(f"there is no proposal {number}; `txwatch rules proposals` lists them")


def _facts(each: RulesProposal) -> dict[str, object]:
    return {
        "number": each.number,
        "at": datetime.fromtimestamp(each.at, UTC),
        "version": each.wanted.version,
        "changes": each.base,
        "state": each.decision or "waits",
        "decided_by": each.decided_by,
        "actor": each.wanted.actor,
        "reason": each.wanted.reason,
    }


def _line(each: RulesProposal) -> str:
    at = f"{datetime.fromtimestamp(each.at, UTC):%Y-%m-%d %H:%M:%S}"
    state = f"{each.decision} by {each.decided_by}" if each.decision else "waits"
    return (
        f"{each.number:>4}  {at}  {each.wanted.version}  {state}  {each.wanted.actor}: {each.wanted.reason}"
    )
