"""The commands under `txwatch rules` that look at the stored past: what would be, and what was."""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from detectors.administer.statistics import statistics, told
from detectors.configuration import drafted
from detectors.guard import RULE
from detectors.inforce import in_force, refuse_faults
from detectors.planning.command import planned
from detectors.planning.told import told_differences, told_figures
from detectors.rules.check import Sections
from txwatch.coverage import WINDOW, Tally, shadow_hits
from txwatch.ports import AnomalyQuery
from txwatch.settings import current_settings
from txwatch.shipped import rules_path
from txwatch.workplace import Workplace, open_workplace

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
TOLD_AFTER = 0.05
"""Share of the past after which it is known how long the rest takes."""


def plan(
    file: Path,
    sections: Sections,
    *,
    days: float,
    warm_up: float,
    as_json: bool,
) -> None:
    """Print what a file would do; raises ConfigurationError for one with faults."""
    refuse_faults(file, sections)
    settings = current_settings()
    with open_workplace(settings, writer=False, role="investigator", looks=True) as workplace:
        used = in_force(workplace)
        with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
            found = planned(workplace, used, file, days, warm_up, _looking(bar))
        if found.figures is not None:
            per = max(found.figures.transactions, 1)
            expected = {"all": found.figures.share, "high": found.figures.share_high}
            expected |= {f"{RULE}{each.rule}": each.hits / per for each in found.figures.overlaps}
            workplace.ledger.rules().expect(found.version, expected)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    for each in told_differences(found.differences):
        typer.echo(each)
    if found.figures is None:
        typer.echo("nothing is stored yet on which it could be tried")
        return
    for each in told_figures(found.figures):
        typer.echo(each)


def stats(
    days: Annotated[float, typer.Option(min=0.01, help="So much of the stored past, by event time.")] = 30.0,
    *,
    as_json: AsJson = False,
) -> None:
    """Say how each rule and detector does: anomalies, and what people labelled them.

    Precision is of the labelled alone; how many nobody labelled stands beside it.

    Example: txwatch rules stats --days 30
    """
    settings = current_settings()
    with open_workplace(settings, writer=False, role="investigator", looks=True) as workplace:
        (last,) = workplace.store.anomalies(AnomalyQuery(limit=1)) or (None,)
        since = None if last is None else last.timestamp - timedelta(days=days)
        anomalies = workplace.store.anomalies(AnomalyQuery(since=since, limit=None))
        labels = {each.anomaly_id: each.verdict for each in workplace.ledger.labels()}
        used = in_force(workplace)
        hits = _shadow_hits(workplace, days)
    known = drafted(rules_path(settings), used.content, used.beside).rules
    rules = [rule.spec.id for rule in known if rule.spec.mode == "live"]
    in_shadow = {rule.spec.id: Tally() for rule in known if rule.spec.mode == "shadow"}
    found = statistics(anomalies, rules, labels, in_shadow | hits)
    for each in found if as_json else told(found, days):
        typer.echo(msgspec.json.encode(each) if as_json else each)


def _shadow_hits(workplace: Workplace, days: float) -> dict[str, Tally]:
    """Return what rules in shadow hit, as it was counted when transactions came."""
    shelf = workplace.ledger.coverage()
    newest = shelf.newest()
    if newest is None:
        return {}
    return shadow_hits(shelf.between(newest + WINDOW - timedelta(days=days), newest + WINDOW))


def _looking(bar: Progress) -> Callable[[float, str], None]:
    """Return what shows how far it is; without a terminal it says once how long it will take."""
    task = bar.add_task("trying it on the past", total=1.0)
    told: list[str] = []

    def looked(share: float, said: str) -> None:
        bar.update(task, completed=share, description=said)
        if bar.disable and share >= TOLD_AFTER and not told:
            told.append(said)
            typer.echo(f"trying it on the past: {said}", err=True)

    return looked
