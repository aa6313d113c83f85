"""The commands about what was found: list it, explain it, label it."""

import csv
import getpass
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import typer
from rich.console import Console

from txwatch.errors import TxwatchError, UsageError
from txwatch.identity import account
from txwatch.model import Anomaly, AnomalyLabel, AnomalyNote, Severity, Verdict
from txwatch.ports import AnomalyQuery
from txwatch.settings import current_settings
from txwatch.views.listing import as_line, as_table, explanation
from txwatch.workplace import Workplace, open_workplace

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
AnomalyId = Annotated[str, typer.Argument(metavar="ANOMALY_ID", help="As `txwatch anomalies` shows it.")]
LABEL_COLUMNS: Final = ("transaction_id", "label", "anomaly_id", "labelled_at", "by")

commands = typer.Typer(invoke_without_command=True)


def mount(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    app.add_typer(commands, name="anomalies")
    app.command()(explain)


@commands.callback()
def list_anomalies(
    context: typer.Context,
    since: Annotated[datetime | None, typer.Option(help="From this event time (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this event time (UTC).")] = None,
    severity: Annotated[str, typer.Option(help="At least low, medium, high or critical.")] = "low",
    kind: Annotated[str | None, typer.Option("--type", help="amount, frequency, place, ...")] = None,
    rule: Annotated[str | None, typer.Option(help="Id of a rule that hit.")] = None,
    user: Annotated[str | None, typer.Option()] = None,
    merchant: Annotated[str | None, typer.Option()] = None,
    transaction: Annotated[str | None, typer.Option()] = None,
    assigned: Annotated[str | None, typer.Option(help="Those that this person looks into.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    *,
    withdrawn: Annotated[
        bool, typer.Option("--withdrawn", help="Those that late data took back, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what was found, the newest first; label it.

    Example: txwatch anomalies --severity high --since 2026-03-01 --user u000123
    """
    if context.invoked_subcommand is not None:
        return
    query = AnomalyQuery(
        since=since and since.replace(tzinfo=UTC),
        until=until and until.replace(tzinfo=UTC),
        min_severity=_severity(severity),
        type=kind,
        rule=rule,
        user_id=user,
        merchant_id=merchant,
        transaction_id=transaction,
        withdrawn=withdrawn,
        limit=limit if assigned is None else None,
    )
    with open_workplace(current_settings(), writer=False, role="investigator", looks=True) as workplace:
        found = workplace.store.anomalies(query)
        if assigned is not None:
            mine = {key for key, person in workplace.ledger.assigned().items() if person == assigned}
            found = [each for each in found if each.anomaly_id in mine][:limit]
    _show(found, as_json=as_json)


@commands.command()
def label(
    anomaly_id: AnomalyId,
    verdict: Annotated[Verdict, typer.Argument(help="What it was.")],
    by: Annotated[str, typer.Option(help="Who says so; otherwise the user of this machine.")] = "",
) -> None:
    """Say what an anomaly was; kept in the ledger and its audit, the newest word counts.

    Example: txwatch anomalies label 1f0c55a2e3b49d07 false-positive --by ada
    """
    with open_workplace(current_settings(), writer=False, role="investigator", looks=True) as workplace:
        found = _one(workplace, anomaly_id)
        given = AnomalyLabel(
            anomaly_id=anomaly_id,
            transaction_id=found.transaction_id,
            verdict=verdict,
            by=by or getpass.getuser(),
        )
        workplace.ledger.label(given)
    typer.echo(f"{anomaly_id} is labelled {verdict.value} by {given.by}")


@commands.command()
def assign(
    anomaly_id: AnomalyId,
    person: Annotated[str, typer.Argument(help="Who looks into it; leave it out for nobody.")] = "",
) -> None:
    """Say who looks into an anomaly; audited, shown by `explain`, listed with --assigned.

    Example: txwatch anomalies assign 1f0c55a2e3b49d07 ada
    """
    _note(anomaly_id, "assigned", person.strip())
    typer.echo(f"{anomaly_id} is with {person.strip() or 'nobody'}")


@commands.command()
def comment(
    anomaly_id: AnomalyId,
    text: Annotated[str, typer.Argument(help="What others should know.")],
) -> None:
    """Write something about an anomaly; audited, shown by `explain`.

    Example: txwatch anomalies comment 1f0c55a2e3b49d07 "the customer called: it was her son"
    """
    if not text.strip():
        raise UsageError("the comment is empty")
    _note(anomaly_id, "comment", text.strip())
    typer.echo(f"noted about {anomaly_id}")


@commands.command()
def labels(
    output: Annotated[Path | None, typer.Option(help="Write .csv for `score` and `backtest`.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the labels in force, or write them as a labels file (those of transactions).

    Example: txwatch anomalies labels --output labels.csv
    """
    with open_workplace(current_settings(), writer=False, role="investigator", looks=True) as workplace:
        given = workplace.ledger.labels()
    if output is not None:
        of_transactions = [each for each in given if each.transaction_id is not None]
        _write(output, of_transactions)
        typer.echo(f"{len(of_transactions):,} labels: {output}", err=True)
        return
    for each in given:
        typer.echo(msgspec.json.encode(each) if as_json else "\t".join(_fields(each)))


def explain(anomaly_id: AnomalyId, *, as_json: AsJson = False) -> None:
    """Say everything that is known of one anomaly, with the numbers and its label.

    Example: txwatch explain 1f0c55a2e3b49d07
    """
    with open_workplace(current_settings(), writer=False, role="investigator", looks=True) as workplace:
        found = _one(workplace, anomaly_id)
        given = workplace.ledger.labels(anomaly_id)
        notes = workplace.ledger.notes(anomaly_id)
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        typer.echo(explanation(found, given[0] if given else None, notes))


def _note(anomaly_id: str, kind: Literal["assigned", "comment"], text: str) -> None:
    with open_workplace(current_settings(), writer=False, role="investigator", looks=True) as workplace:
        found = _one(workplace, anomaly_id)
        given = AnomalyNote(anomaly_id=found.anomaly_id, kind=kind, text=text, by=account())
        workplace.ledger.note(given)


def _severity(word: str) -> Severity:
    try:
        return Severity.parse(word)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _show(found: Sequence[Anomaly], *, as_json: bool) -> None:
    console = Console()
    if not as_json and console.is_terminal:
        console.print(as_table(found) if found else "nothing was found with these filters")
        return
    for anomaly in found:
        typer.echo(msgspec.json.encode(anomaly) if as_json else as_line(anomaly))


def _one(workplace: Workplace, anomaly_id: str) -> Anomaly:
    found = workplace.store.anomalies(AnomalyQuery(anomaly_id=anomaly_id))
    if not found:
        raise TxwatchError(f"there is no anomaly {anomaly_id}; `txwatch anomalies` lists them")
    return found[0]


def _fields(given: AnomalyLabel) -> tuple[str, ...]:
    at = datetime.fromtimestamp(given.at, UTC)
    who = (given.anomaly_id, f"{at:%Y-%m-%dT%H:%M:%SZ}", given.by)
    return (given.transaction_id or "", given.verdict.value, *who)


def _write(path: Path, given: Sequence[AnomalyLabel]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([LABEL_COLUMNS, *(_fields(each) for each in given)])
    try:
        path.write_text(text.getvalue())
    except OSError as error:
        raise TxwatchError(f"cannot write the labels {path}: {error.strerror}") from error
