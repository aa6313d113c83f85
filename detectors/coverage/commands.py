"""`txwatch coverage ...`: what was looked at, what was not, and looking at it afterwards."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import typer

from detectors.configuration import known_configuration
from detectors.coverage.filling import Filled, Gaps, filled
from detectors.coverage.gaps import Seen, Stretch, fillable, seen, stretches, totals
from detectors.coverage.stored import stored_counts
from detectors.detection import series_of
from detectors.inforce import in_force
from detectors.planning.history import between, newest
from detectors.service import CONSUMER as DETECTORS
from txwatch.canary import canaries_of
from txwatch.coverage import WINDOW, State, start_of
from txwatch.identity import account
from txwatch.model import Anomaly
from txwatch.ports import AnomalyQuery
from txwatch.settings import current_environment, current_settings
from txwatch.shipped import rules_path
from txwatch.workplace import Workplace, open_workplace

CONSUMER = "coverage fill"
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
Days = Annotated[float, typer.Option(min=0.01, help="So much of the stored past, by event time.")]
Since = Annotated[datetime | None, typer.Option(help="From this time (UTC) instead.")]

commands = typer.Typer(
    help="What each detector looked at, in windows of ten minutes of event time.", no_args_is_help=True
)


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the past, as it was looked at."""

    since: datetime
    until: datetime
    gaps: Gaps
    seen: Sequence[Seen]

    def stretches(self) -> list[Stretch]:
        """Return where something is amiss."""
        return stretches(self.seen, self.gaps.windows)


def mount(app: typer.Typer) -> None:
    """Add the group to the root command."""
    app.add_typer(commands, name="coverage")


@commands.command()
def show(days: Days = 1.0, since: Since = None, *, as_json: AsJson = False) -> None:
    """Say for each detector how many windows it evaluated, and what became of the others.

    With --json each window of each detector is a line, with its counts.

    Example: txwatch coverage show --days 7
    """
    with open_workplace(current_settings(), writer=False, role="investigator", looks=True) as workplace:
        looked = _looked(workplace, days, since)
    if looked is None:
        typer.echo("no transaction is stored yet", err=True)
    elif as_json:
        for each in looked.seen:
            typer.echo(msgspec.json.encode(each))
    else:
        _print_totals(looked)


@commands.command()
def gaps(days: Days = 1.0, since: Since = None, *, as_json: AsJson = False) -> None:
    """List when a detector did not evaluate what there was, or had nothing to evaluate.

    Exit code 1 if there is something that `txwatch coverage fill` can evaluate afterwards.

    Example: txwatch coverage gaps --days 7
    """
    with open_workplace(current_settings(), writer=False, role="investigator", looks=True) as workplace:
        looked = _looked(workplace, days, since)
    found = [] if looked is None else looked.stretches()
    for each in found:
        typer.echo(msgspec.json.encode(each) if as_json else _line(each))
    if not found and not as_json:
        typer.echo("no gaps")
    if fillable(found):
        raise typer.Exit(1)


@commands.command()
def fill(
    days: Days = 1.0,
    since: Since = None,
    warm_up: Annotated[
        float, typer.Option(min=0.0, help="Days before the first gap, to know what is usual.")
    ] = 14.0,
) -> None:
    """Evaluate afterwards what was missed, or what a rule failed for; what is found is marked late.

    The rules in force are used, on the stored past.  Anomalies that are known stay; what is new is stored,
    queued for the notifier, and marked late.  Needs the detector's token where there is InfluxDB.

    Example: txwatch coverage fill --days 7
    """
    with open_workplace(current_settings(), writer=False, role="detector", looks=True) as workplace:
        looked = _looked(workplace, days, since)
        holes = [] if looked is None else fillable(looked.stretches())
        if looked is None or not holes:
            typer.echo("nothing to fill")
            return
        found = _filled(workplace, looked, holes, timedelta(days=warm_up))
        _keep(workplace, found, holes)
    typer.echo(
        f"{found.transactions:,} transactions evaluated afterwards and {len(found.points):,} windows of "
        f"series, {len(found.anomalies):,} late finds; "
        "`txwatch coverage gaps` says what is left"
    )


def _looked(workplace: Workplace, days: float, since: datetime | None) -> Looked | None:
    last = newest(workplace.store)
    if last is None:
        return None
    until = start_of(last) + WINDOW
    first = start_of(since.replace(tzinfo=UTC)) if since else start_of(last - timedelta(days=days)) + WINDOW
    windows = workplace.ledger.coverage().between(first, until)
    stored = stored_counts(workplace.store, first, until, canaries_of(current_environment()))
    found = list(seen(windows, stored, first, until))
    return Looked(since=first, until=until, gaps=Gaps(windows=windows, stored=stored), seen=found)


def _filled(workplace: Workplace, looked: Looked, holes: Sequence[Stretch], warm_up: timedelta) -> Filled:
    first, end = min(each.since for each in holes), max(each.until for each in holes)
    used, snapshot = in_force(workplace), workplace.ledger.load_snapshot(DETECTORS)
    rules = known_configuration(rules_path(workplace.settings), used.content, used.beside)
    known: dict[str, Anomaly] = {
        each.anomaly_id: each
        for each in workplace.store.anomalies(AnomalyQuery(since=first, until=end, limit=None))
    }
    return filled(
        between(workplace.store, first - warm_up, end + WINDOW, rules.canaries),
        rules,
        looked.gaps,
        known,
        workplace.clock.now,
        workplace.settings.scored_together,
        [] if snapshot is None else series_of(snapshot.payload),
    )


def _keep(workplace: Workplace, found: Filled, holes: Sequence[Stretch]) -> None:
    """Store anomalies and series first (idempotent); then queue the ones and count windows, together."""
    if found.anomalies:
        workplace.store.put_anomalies(found.anomalies)
    if found.points:
        workplace.store.put_series(found.points)
    workplace.ledger.commit_step(CONSUMER, {}, found.anomalies, found.looked_at)
    facts = {
        "since": min(each.since for each in holes).isoformat(),
        "until": max(each.until for each in holes).isoformat(),
        "transactions": found.transactions,
        "windows of series": len(found.points),
        "late finds": len(found.anomalies),
    }
    workplace.ledger.record(account(), "coverage filled", facts)


def _print_totals(looked: Looked) -> None:
    found = totals(looked.seen)
    states = [state for state in State if any(state.value in counts for counts in found.values())]
    typer.echo(
        f"{looked.since:%Y-%m-%d %H:%M} to {looked.until:%Y-%m-%d %H:%M} UTC, windows of "
        f"{WINDOW.total_seconds() / 60:.0f} min"
    )
    typer.echo(f"{'':28}" + "".join(f"{state.value:>12}" for state in states))
    for detector, counts in found.items():
        cells = "".join(f"{counts.get(state.value, 0) or '-':>12}" for state in states)
        typer.echo(f"{detector:28}{cells}")


def _line(each: Stretch) -> str:
    who = "every detector" if each.everybody else ", ".join(each.detectors)
    told = f"{each.stored:,} transactions stored"
    if each.state in {State.MISSED, State.WAITING}:
        told += f", {each.missed:,} of them not evaluated"
    return f"{each.since:%Y-%m-%d %H:%M} to {each.until:%m-%d %H:%M}  {each.state.value:10}  {who}: {told}"
