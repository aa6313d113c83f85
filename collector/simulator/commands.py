"""`txwatch simulate`: a simulated stream and its labels as files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.progress import track

from collector.simulator.export import check_suffix, write_stream, write_table
from collector.simulator.settings import LEAST_MERCHANTS, MOST_FRAUDS_PER_DAY, SimulationSettings
from collector.simulator.simulation import LABELS, SimulatedDay, Simulation
from txwatch.columns import TRANSACTION

ABSENT = "extra"
"""A column that a simulated transaction never has."""
Written = list[tuple[int, pl.DataFrame]]
"""Of each day: how many transactions, and its labels."""


def mount(app: typer.Typer) -> None:
    """Add the command to the root command."""
    app.command()(simulate)


def simulate(
    output: Annotated[Path, typer.Option(help="File to write: .jsonl, .csv or .parquet.")],
    labels: Annotated[Path | None, typer.Option(help="CSV of the fraudulent transactions.")] = None,
    episodes: Annotated[Path | None, typer.Option(help="CSV of all frauds, silent ones too.")] = None,
    days: Annotated[int, typer.Option(min=1, help="Days to simulate.")] = 14,
    users: Annotated[int, typer.Option(min=1)] = 2500,
    merchants: Annotated[int, typer.Option(min=LEAST_MERCHANTS)] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same stream.")] = 1,
    frauds_per_day: Annotated[float, typer.Option(min=0, max=MOST_FRAUDS_PER_DAY, help="Episodes.")] = 10.0,
) -> None:
    """Simulate payments with labelled frauds.

    Example: txwatch simulate --output payments.jsonl --labels labels.csv --days 14
    """
    check_suffix(output)
    tables = [path for path in (labels, episodes) if path is not None]
    for path in tables:
        check_suffix(path, (".csv",))
    simulation = Simulation(
        SimulationSettings(
            seed=seed, users=users, merchants=merchants, days=days, frauds_per_day=frauds_per_day
        )
    )
    written: Written = []
    schema = pl.Schema({name: kind for name, kind in TRANSACTION.items() if name != ABSENT})
    write_stream(_transactions(simulation, days, written), schema, output)
    marked = pl.concat([pl.DataFrame(schema=LABELS), *(found for _, found in written)])
    if labels is not None:
        write_table(marked, labels)
    if episodes is not None:
        write_table(simulation.episodes(), episodes)
    for line in _summary(sum(count for count, _ in written), marked, simulation.episodes()):
        typer.echo(line, err=True)
    typer.echo(f"{days} days: {output}", err=True)


def _transactions(simulation: Simulation, days: int, written: Written) -> Iterator[pl.DataFrame]:
    """Yield the days' transactions, noting what was made."""
    for day in _with_progress(simulation.days(), days):
        written.append((day.transactions.height, day.labels))
        yield day.transactions.drop(ABSENT)


def _with_progress(days: Iterator[SimulatedDay], total: int) -> Iterator[SimulatedDay]:
    console = Console(stderr=True)
    yield from track(
        days, "simulating", total=total, console=console, transient=True, disable=not console.is_terminal
    )


def _summary(total: int, labels: pl.DataFrame, episodes: pl.DataFrame) -> Iterator[str]:
    """Yield what was made, then a line for each kind of fraud."""
    yield f"{total:,} transactions, {labels.height:,} of them in {episodes.height:,} frauds:"
    marked = labels.group_by("kind").agg(pl.len().alias("rows"))
    kinds = episodes.group_by("kind").agg(pl.len().alias("frauds")).join(marked, on="kind", how="left")
    for kind, frauds, rows in kinds.sort("kind").fill_null(0).iter_rows():
        yield f"  {kind.replace('_', ' '):24} {frauds:>6,} with {rows:>8,} transactions"
