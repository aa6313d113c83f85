"""`txwatch simulate`: a simulated stream into a file or a Kafka topic, and its labels as files."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.progress import track

from collector.kafka.address import is_kafka
from collector.kafka.opening import open_sending
from collector.simulator.export import check_suffix, write_stream, write_table
from collector.simulator.sending import send_stream
from collector.simulator.settings import LEAST_MERCHANTS, MOST_FRAUDS_PER_DAY, SimulationSettings
from collector.simulator.simulation import LABELS, SimulatedDay, Simulation
from txwatch.clock import SystemClock
from txwatch.columns import TRANSACTION
from txwatch.errors import UsageError
from txwatch.settings import current_environment

ABSENT = "extra"
"""A column that a simulated transaction never has."""
Written = list[tuple[int, pl.DataFrame]]
"""Of each day: how many transactions, and its labels."""


def mount(app: typer.Typer) -> None:
    """Add the command to the root command."""
    app.command()(simulate)


def simulate(
    output: Annotated[Path | None, typer.Option(help="File to write: .jsonl, .csv or .parquet.")] = None,
    to: Annotated[
        str | None, typer.Option(help="kafka://HOST:PORT/TOPIC to send to, as happening now.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="With --to: so many a second; 0 is at once.")] = 100.0,
    labels: Annotated[Path | None, typer.Option(help="CSV of the fraudulent transactions.")] = None,
    episodes: Annotated[Path | None, typer.Option(help="CSV of all frauds, silent ones too.")] = None,
    days: Annotated[int, typer.Option(min=1, help="Days to simulate.")] = 14,
    users: Annotated[int, typer.Option(min=1)] = 2500,
    merchants: Annotated[int, typer.Option(min=LEAST_MERCHANTS)] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same stream.")] = 1,
    frauds_per_day: Annotated[float, typer.Option(min=0, max=MOST_FRAUDS_PER_DAY, help="Episodes.")] = 10.0,
) -> None:
    """Simulate payments with labelled frauds, into a file or a Kafka topic.

    Example: txwatch simulate --output payments.jsonl --labels labels.csv --days 14
    """
    write = _writer(output, to, rate)
    tables = [path for path in (labels, episodes) if path is not None]
    for path in tables:
        check_suffix(path, (".csv",))
    simulation = Simulation(
        SimulationSettings(
            seed=seed, users=users, merchants=merchants, days=days, frauds_per_day=frauds_per_day
        )
    )
    written: Written = []
    write(_transactions(simulation, days, written))
    marked = pl.concat([pl.DataFrame(schema=LABELS), *(found for _, found in written)])
    if labels is not None:
        write_table(marked, labels)
    if episodes is not None:
        write_table(simulation.episodes(), episodes)
    for line in _summary(sum(count for count, _ in written), marked, simulation.episodes()):
        typer.echo(line, err=True)
    typer.echo(f"{days} days: {output or to}", err=True)


def _writer(output: Path | None, to: str | None, rate: float) -> Callable[[Iterator[pl.DataFrame]], None]:
    """Return what takes the stream; raises UsageError unless exactly one place is named."""
    if (output is None) == (to is None):
        raise UsageError("say where to: either --output FILE or --to kafka://HOST:PORT/TOPIC")
    if output is not None:
        check_suffix(output)
        schema = pl.Schema({name: kind for name, kind in TRANSACTION.items() if name != ABSENT})
        return partial(write_stream, schema=schema, path=output)
    if to is None or not is_kafka(to):
        raise UsageError(f"{to} is not of the form kafka://HOST:PORT/TOPIC")
    send = open_sending(to, current_environment())
    return partial(send_stream, send=send, clock=SystemClock(), rate=rate)


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
