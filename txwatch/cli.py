"""The command line: mounts the rooms' commands and adds those that need several rooms.

Every `TxwatchError` ends as one sentence on standard error and its exit code; anything else is a fault
of ours and keeps its traceback.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import polars as pl
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import alerts.cli
import collector.cli
import detectors.cli
import grafana.cli
from txwatch import __version__, anomalies, audittrail, doctor, revealing
from txwatch.errors import TxwatchError
from txwatch.health import watched
from txwatch.init import command as init
from txwatch.monitor import Address
from txwatch.play import (
    Deadline,
    PlainView,
    ScreenView,
    Watcher,
    compare,
    each,
    print_figures,
    report_data,
)
from txwatch.ports import AnomalyQuery, RetentionPolicy, Service
from txwatch.settings import Settings, current_settings
from txwatch.supervise import StopRequest, work
from txwatch.views.report import write_report
from txwatch.workplace import open_audit, open_size, open_workplace

app = typer.Typer(
    name="txwatch",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Watches a stream of payment transactions, says which behave unlike their own past, and why.",
    epilog="Exit codes: 0 done, 1 a check failed or nothing was found by that id, 2 wrong usage, "
    "3 wrong configuration, 4 unreadable input, 5 the store refuses, 6 an unusable snapshot.",
)

DEMO_SPEED = 20_000.0
DEMO_WINDOW_SECONDS = 1800
"""Length of the demo's traffic windows: at the demo's speed, minutes would be milliseconds."""

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
Report = Annotated[Path, typer.Option(help="Where to write the report.")]


def main() -> None:
    """Run the command line; the console script and `python -m txwatch` both come here."""
    try:
        app()
    except TxwatchError as error:
        sys.stderr.write(f"txwatch: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


@app.callback(invoke_without_command=True)
def root(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Watches a stream of payment transactions, says which behave unlike their own past, and why."""
    if version:
        typer.echo(f"txwatch {__version__}")
        raise typer.Exit


@app.command()
def demo(
    duration: Annotated[float | None, typer.Option(min=1, help="Seconds; without it until Ctrl-C.")] = None,
    report: Report = Path("report.html"),
    seed: Annotated[int, typer.Option(help="Same seed, same world.")] = 1,
    users: Annotated[int, typer.Option(min=10, help="People in the simulated world.")] = 2500,
    speed: Annotated[float, typer.Option(min=1, help="How much faster than real time.")] = DEMO_SPEED,
) -> None:
    """Watch a simulated payment world go through the whole path, live, and write a report.

    Example: txwatch demo --duration 60
    """
    console = Console()
    with tempfile.TemporaryDirectory(prefix="txwatch-demo-") as home:
        settings = msgspec.structs.replace(current_settings(), home=home, store="", ledger="", batch=500)
        with open_workplace(settings, writer=True) as workplace:
            source, truth = collector.cli.open_simulation(workplace, seed=seed, users=users, speed=speed)
            with console.status("compiling the detectors (once a machine)"):
                detector = detectors.cli.open_detector(workplace, window_seconds=DEMO_WINDOW_SECONDS)
                detectors.cli.warm_up()
            services: list[Service] = [collector.cli.open_collector(workplace, source), detector]
            view = ScreenView(console) if console.is_terminal else PlainView()
            stop = StopRequest()
            watcher = Watcher("txwatch demo", services, workplace.ledger, workplace.clock, view)
            deadline = Deadline(stop, workplace.clock, duration)
            with view.live if isinstance(view, ScreenView) else nullcontext():
                work(services, workplace.clock, stop=stop, observe=each(watcher, deadline))
            found = workplace.store.anomalies(AnomalyQuery(limit=None))
            until = max((anomaly.timestamp for anomaly in found), default=datetime.now(UTC))
            figures = compare(found, *truth(until), until)
            data = report_data(f"txwatch demo, world {seed}", workplace.store, workplace.clock, figures)
            write_report(report, data)
    print_figures(console, figures)
    console.print(f"report: {report}")


@app.command()
def run(
    inputs: collector.cli.Inputs = None,
    mapping: collector.cli.Map = None,
    default: collector.cli.Default = None,
    schema: collector.cli.SchemaFile = None,
    speed: collector.cli.Speed = 0.0,
    alerts_file: Annotated[Path | None, typer.Option(help="Append alerts here as JSON lines.")] = None,
    metrics: Address = None,
    *,
    csv: collector.cli.Csv = False,
    once: collector.cli.Once = False,
) -> None:
    """Collect, detect and alert in one process, until stopped; goes on where it stopped.

    Example: txwatch run payments.jsonl --once --alerts-file alerts.jsonl
    """
    settings = current_settings()
    used = collector.cli.schema_of(settings, schema, mapping, default)
    with open_workplace(settings, writer=True) as workplace:
        source = collector.cli.open_source(workplace, inputs, used, speed, once=once, stdin_csv=csv)
        detector = detectors.cli.open_detector(workplace)
        services: list[Service] = [
            collector.cli.open_collector(workplace, source),
            *collector.cli.open_derived(workplace, live=collector.cli.is_live(source)),
            detectors.cli.open_rules(workplace, detector, once=once),
            *detectors.cli.open_people(workplace, detector),
            detector,
            *detectors.cli.open_context(workplace),
            *detectors.cli.open_coverage(workplace),
            *alerts.cli.open_telling(workplace, file=alerts_file, console=True),
            *open_audit(workplace),
            *([] if once else [*collector.cli.open_housekeeping(workplace), *open_size(workplace)]),
        ]
        if not once:
            detectors.cli.warm_up()
        with watched(services, workplace, metrics, once=once) as beat:
            work(services, workplace.clock, once=once, observe=beat)


@app.command()
def canary(
    to: Annotated[str, typer.Option(help="kafka://HOST:PORT/TOPIC that collectors read.")],
    every: Annotated[str, typer.Option(help="How often.")] = "5m",
    patience: Annotated[str, typer.Option(help="How long an alert may take.")] = "60s",
    schema: collector.cli.SchemaFile = None,
    metrics: Address = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Send one, wait for its alert, then end.")] = False,
) -> None:
    """Send a marked fraud the whole way, again and again, and measure how long its alert takes.

    It has to be found by detectors or rules; no business figure counts it.  Exit code 1 if, with --once, the
    alert did not come.

    Example: txwatch canary --to kafka://localhost:9094/transactions --every 5m
    """
    settings = current_settings()
    send = collector.cli.open_message_sender(to, collector.cli.schema_of(settings, schema, None, None))
    with open_workplace(settings, writer=False, role="notifier") as workplace:
        service = alerts.cli.open_canary(workplace, send, every, patience)
        with watched([service], workplace, metrics, once=once) as beat:
            work([service], workplace.clock, once=once, follows=True, observe=beat)
    if once and service.health().state != "ok":
        raise typer.Exit(1)


@app.command()
def score(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Files, folders, globs, or - .")],
    output: Annotated[Path, typer.Option(help=".jsonl (everything) or .parquet (scores).")],
    mapping: collector.cli.Map = None,
    default: collector.cli.Default = None,
    schema: collector.cli.SchemaFile = None,
    labels: Annotated[
        Path | None, typer.Option(help="Confirmed frauds: transaction_id, is_fraud or label.")
    ] = None,
    label_delay: Annotated[str, typer.Option(help="Days after which a label is known.")] = "7d",
    *,
    csv: collector.cli.Csv = False,
) -> None:
    """Score files offline: one line for every transaction, in event-time order, from the past only.

    With --labels, confirmed frauds become a hypothesis of their own, each known only after the delay.

    Example: txwatch score payments.csv --output scores.jsonl --map user_id=customer --default currency=EUR
    """
    feedback = None if labels is None else detectors.cli.labels_file(labels, label_delay)
    settings = current_settings()
    used = collector.cli.schema_of(settings, schema, mapping, default)
    rejections: dict[str, int] = {}
    frames = _read(collector.cli.stream(inputs, used, notice=_note, stdin_csv=csv), rejections)
    summary = detectors.cli.score_frames(frames, output, settings, feedback)
    typer.echo(f"{summary.transactions:,} transactions, {summary.anomalies:,} anomalies: {output}", err=True)
    _tell_left_out(rejections)


@app.command()
def backtest(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Files, folders, globs, or - .")],
    labels: Annotated[
        Path, typer.Option(help="What was fraud: transaction_id, is_fraud or label; kind, episode if known.")
    ],
    config: Annotated[
        list[Path] | None, typer.Option(help="Rules file; a second one challenges the first.")
    ] = None,
    mapping: collector.cli.Map = None,
    default: collector.cli.Default = None,
    schema: collector.cli.SchemaFile = None,
    label_delay: Annotated[
        str | None, typer.Option(help="Also run with the labels as feedback so much later, e.g. 7d.")
    ] = None,
    budget: Annotated[list[int] | None, typer.Option(min=1, help="Alerts a day to look at.")] = None,
    skip_days: Annotated[int, typer.Option(min=0, help="Days at the start that do not count.")] = 0,
    leave_out: Annotated[
        list[str] | None, typer.Option(help="Kind of fraud that counts neither as right nor as wrong.")
    ] = None,
    draws: Annotated[int, typer.Option(min=0, help="Resamplings of days behind the spread.")] = 100,
    seed: Annotated[int, typer.Option(help="Same seed, same resamplings.")] = 1,
    html: Annotated[Path | None, typer.Option(help="Write a page with curves here.")] = None,
    *,
    csv: collector.cli.Csv = False,
    as_json: AsJson = False,
) -> None:
    """Score labelled files from the past only, then say how much was found and how much was right.

    No label reaches a detector, except with --label-delay: then the first rules file runs twice, without
    and with the labels as feedback, each after its delay.

    Example: txwatch backtest payments.parquet --labels labels.parquet --skip-days 28 --html backtest.html
    """
    settings = current_settings()
    options = detectors.cli.BacktestOptions(
        configs=config or [],
        truth=labels,
        feedback=None if label_delay is None else detectors.cli.labels_file(labels, label_delay),
        leave_out=leave_out or [],
        plan=detectors.cli.backtest_plan(budget or [25, 50, 100], skip_days, draws, seed),
        html=html,
    )
    used = collector.cli.schema_of(settings, schema, mapping, default)
    rejections: dict[str, int] = {}
    frames = _read(collector.cli.stream(inputs, used, notice=_note, stdin_csv=csv), rejections)
    figures = detectors.cli.backtest_frames(frames, options, settings)
    lines = map(msgspec.json.encode, figures) if as_json else detectors.cli.told_backtest(figures)
    for line in lines:
        typer.echo(line)
    _tell_left_out(rejections)


def _read(
    stream: Iterable[tuple[pl.DataFrame, Mapping[str, int]]], rejections: dict[str, int]
) -> Iterator[pl.DataFrame]:
    """Yield the valid transactions of files behind a progress bar; what is left out is counted by reason."""
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description} {task.completed:,.0f} transactions"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with progress:
        task = progress.add_task("scoring", total=None)
        for rows, rejected in stream:
            for why, count in rejected.items():
                rejections[why] = rejections.get(why, 0) + count
            yield rows
            progress.advance(task, rows.height)


def _note(sentence: str) -> None:
    typer.echo(f"note: {sentence}", err=True)


def _tell_left_out(rejections: dict[str, int]) -> None:
    for why, count in sorted(rejections.items(), key=lambda item: -item[1])[:10]:
        typer.echo(f"left out: {count:,} with {why}", err=True)


@app.command("doctor")
def examine(*, as_json: AsJson = False) -> None:
    """Check configuration, store, disk, clock and versions, and say what to do.

    Exit code 1 if anything failed.  Example: txwatch doctor
    """
    settings = current_settings()
    checks = [
        *doctor.own_checks(settings),
        lambda: _check_rules(settings),
        lambda: _check_store(settings),
    ]
    findings = doctor.examine(checks)
    for finding in findings:
        if as_json:
            typer.echo(msgspec.json.encode(finding))
        else:
            typer.echo(f"{finding.state:8} {finding.check:9} {finding.sentence}")
            if finding.advice:
                typer.echo(f"{'':18} -> {finding.advice}")
    if not doctor.healthy(findings):
        raise typer.Exit(1)


def _check_rules(settings: Settings) -> doctor.Finding:
    path, rules = detectors.cli.check_rules(settings)
    return doctor.Finding(check="rules", state="ok", sentence=f"{path} is in order, {rules} rules")


def _check_store(settings: Settings) -> doctor.Finding:
    if not settings.home_path.exists():
        return doctor.Finding(check="store", state="ok", sentence="nothing is stored yet")
    with open_workplace(settings, writer=False, role="investigator") as workplace:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in workplace.store.counts().items())
        broken = workplace.ledger.verify()
    if broken is not None:
        return doctor.Finding(
            check="store",
            state="failed",
            sentence=f"audit record {broken} was changed afterwards",
            advice="compare with a backup of the ledger; everything before that record is sound",
        )
    return doctor.Finding(check="store", state="ok", sentence=f"{settings.store_url}: {counts}")


for part in (anomalies, audittrail, revealing, collector.cli, alerts.cli, grafana.cli, init):
    part.mount(app)
detectors.cli.mount(app, alerts.cli.SECTIONS | {"retention": RetentionPolicy})
