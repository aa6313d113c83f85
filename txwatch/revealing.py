"""The commands that cross between ids and pseudonyms; the way back leaves a record in the audit."""

from typing import Annotated, Literal

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from txwatch.clock import SystemClock
from txwatch.errors import ConfigurationError, StoreError, TxwatchError, UsageError
from txwatch.identity import account
from txwatch.ledger import Ledger
from txwatch.pseudonym import KEY, KINDS, Pseudonyms, pseudonyms_of
from txwatch.settings import Settings, current_environment, current_settings
from txwatch.shipped import retention_policy
from txwatch.unmasking import Hidden, Reach, hidden, revealed
from txwatch.workplace import Workplace, open_workplace

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]


def mount(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.command()(pseudonym)
    app.command()(reveal)


def pseudonym(
    raw: Annotated[str, typer.Argument(metavar="ID", help="The id as producers send it.")],
    kind: Annotated[
        Literal["user", "card", "device", "ip"], typer.Option(help="What it is an id of.")
    ] = "user",
    *,
    as_json: AsJson = False,
) -> None:
    """Say under which pseudonym operators see an id, to search for it in Grafana, Slack and mail.

    Example: txwatch pseudonym u000123
    """
    field = next(field for field, word in KINDS.items() if word == kind)
    made = _pseudonyms()(field, raw)
    typer.echo(msgspec.json.encode({"id": raw, "pseudonym": made}) if as_json else made)


def reveal(
    text: Annotated[str, typer.Argument(metavar="PSEUDONYM", help="As operators see it: user-1-...")],
    reason: Annotated[str, typer.Option(help="Why it must be known; kept in the audit.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Find the id behind a pseudonym; who asked, and why, is written to the audit first.

    It needs a token that reads what investigators read.  Exit code 1 if no stored id has the pseudonym.
    Example: txwatch reveal user-1-mf2xk3lnorzxi5dv --reason "customer called, case 4711"
    """
    if not reason.strip():
        raise UsageError("--reason is empty: say why the id must be known")
    pseudonyms = _pseudonyms()
    wanted = hidden(text, pseudonyms)
    settings = current_settings()
    facts = {"pseudonym": text, "reason": reason.strip()}
    try:
        with open_workplace(settings, writer=False, role="investigator", looks=True) as workplace:
            found = _looked_for(workplace, pseudonyms, wanted)
            action = "id revealed" if found else "id looked for in vain"
            workplace.ledger.record(account(), action, facts)
    except StoreError as error:
        if not error.retryable:
            _record_denial(settings, facts, str(error))
        raise
    if found is None:
        raise TxwatchError(f"no id that is stored has the pseudonym {text}; it may have expired")
    typer.echo(msgspec.json.encode({"pseudonym": text, "id": found}) if as_json else found)


def _pseudonyms() -> Pseudonyms:
    found = pseudonyms_of(current_environment())
    if found is None:
        raise ConfigurationError(f"{KEY} is not set: it must be the key of the processes that wrote them")
    return found


def _looked_for(workplace: Workplace, pseudonyms: Pseudonyms, wanted: Hidden) -> str | None:
    """Look through what is kept, behind a progress bar."""
    kept = retention_policy(workplace.settings)
    reach = Reach(now=workplace.clock.now(), anomalies=kept.anomalies, transactions=kept.transactions)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("looking back", total=1.0)
        return revealed(
            workplace.store,
            pseudonyms,
            wanted,
            reach,
            lambda share: progress.update(task, completed=share),
        )


def _record_denial(settings: Settings, facts: dict[str, str], why: str) -> None:
    """Leave a record of who asked for what the token at hand may not read."""
    ledger = Ledger.open(settings.ledger_url, SystemClock())
    try:
        ledger.record(account(), "reveal denied", {**facts, "why": why})
    finally:
        ledger.close()
