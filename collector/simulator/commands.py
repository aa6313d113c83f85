"""`txwatch simulate`: a simulated stream and its labels as files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.progress import track

from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import LABELS, SimulatedDay, Simulation
from txwatch.errors import TxwatchError, UsageError

WRITERS = (".jsonl", ".csv", ".parquet")
ABSENT = ("extra",)
"""Columns that a simulated transaction never has."""


def mount(app: typer.Typer) -> None:
    """Add the command to the root command."""
    app.command()(simulate)


def simulate(
    output: Annotated[Path, typer.Option(help="File to write: .jsonl, .csv or .parquet.")],
    labels: Annotated[Path | None, typer.Option(help="CSV of the fraudulent transactions.")] = None,
    days: Annotated[int, typer.Option(min=1, help="Days to simulate.")] = 14,
    users: Annotated[int, typer.Option(min=1)] = 2500,
    merchants: Annotated[int, typer.Option(min=1)] = 300,
    seed: Annotated[int, typer.Option(help="Same seed, same stream.")] = 1,
    frauds_per_day: Annotated[float, typer.Option(min=0, help="Episodes a day.")] = 10.0,
) -> None:
    """Simulate payments with labelled frauds.

    Example: txwatch simulate --output payments.jsonl --labels labels.csv --days 14
    """
    if output.suffix not in WRITERS:
        raise UsageError(f"{output} ends in none of {', '.join(WRITERS)}")
    settings = SimulationSettings(
        seed=seed, users=users, merchants=merchants, days=days, frauds_per_day=frauds_per_day
    )
    simulation = Simulation(settings)
    made = list(_with_progress(simulation.days(), days))
    rows = pl.concat([day.transactions for day in made])
    marked = pl.concat([pl.DataFrame(schema=LABELS), *(day.labels for day in made)])
    _write(rows.drop(ABSENT), output)
    if labels is not None:
        _write(marked, labels)
    typer.echo(
        f"{rows.height:,} transactions of {days} days, {marked.height:,} of them fraudulent in "
        f"{marked['episode'].n_unique()} episodes: {output}",
        err=True,
    )


def _with_progress(days: Iterable[SimulatedDay], total: int) -> Iterable[SimulatedDay]:
    console = Console(stderr=True)
    return track(
        days, "simulating", total=total, console=console, transient=True, disable=not console.is_terminal
    )


def _write(table: pl.DataFrame, path: Path) -> None:
    """Write whole or not at all: to a file beside it, then renamed."""
    temporary = path.with_name(f".{path.name}.part")
    if "timestamp" in table.columns and path.suffix != ".parquet":
        table = table.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    try:
        if path.suffix == ".parquet":
            table.write_parquet(temporary)
        elif path.suffix == ".csv":
            table.write_csv(temporary)
        else:
            table.write_ndjson(temporary)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TxwatchError(f"cannot write {path}: {error.strerror or error}") from error
