"""The detectors' commands, and what the command line needs of this room."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, cast

import msgspec
import polars as pl
import typer

from detectors import warm
from detectors.administer import cli as administer
from detectors.backtest.contest import Contender, contest
from detectors.backtest.figures import Figures, Plan, figures_of, judge
from detectors.backtest.page import Page, page
from detectors.backtest.told import told
from detectors.backtest.truth import read_truth
from detectors.changes import note_changes
from detectors.configuration import DetectorsSection, read_configuration
from detectors.context import ContextService, TransactionsAndContext
from detectors.copies import EVERY as COPIES_EVERY
from detectors.copies import ModelCopies, RulesCopies
from detectors.coverage import commands as coverage_commands
from detectors.engine import Engine
from detectors.handling import HandlingService
from detectors.labelcopies import AnomaliesAndCopies, LabelCopies
from detectors.labelling import LabelsService
from detectors.labels import LateLabels, read_frauds
from detectors.models import commands as models_commands
from detectors.models.service import ModelsService
from detectors.offline import JsonLines, Parquet, score
from detectors.recalling import Recalled, recalled
from detectors.reloading import RulesService
from detectors.rules import commands as rules_commands
from detectors.rules import warm as rules_warm
from detectors.rules.check import ROOM_SECTIONS, Sections
from detectors.series import warm as series_warm
from detectors.series.calendar import Calendar
from detectors.series.offline import score_series as score_series_file
from detectors.service import DetectorService
from detectors.settings import Feedback
from txwatch import __version__
from txwatch.copies import CopyStore
from txwatch.copying import CopyService, Source
from txwatch.covered import CoverageService
from txwatch.errors import SnapshotError, UsageError
from txwatch.health import watched
from txwatch.monitor import Address
from txwatch.ports import ChangeStore, CoverageStore, Service
from txwatch.settings import Settings, current_settings
from txwatch.shipped import retention_policy, rules_path
from txwatch.supervise import work
from txwatch.workplace import Workplace, open_workplace


def mount(app: typer.Typer, sections: Sections | None = None) -> None:
    """Add the detectors' commands to the root command; `sections` of the rules file are other rooms'."""
    known = {"detectors": DetectorsSection, "calendar": Calendar, **(sections or {})}
    app.command()(detect)
    app.command("score-series")(score_series)
    group = rules_commands.mount(app, known)
    administer.mount(group, {**ROOM_SECTIONS, **known})
    models_commands.mount(app)
    coverage_commands.mount(app)


def detect(
    metrics: Address = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Score what is there, then end.")] = False,
) -> None:
    """Score the transactions that a collector stores, alone; goes on where it stopped.

    Example: txwatch detect --once
    """
    with open_workplace(current_settings(), writer=False, role="detector") as workplace:
        detector = open_detector(workplace)
        rules = open_rules(workplace, detector, once=once)
        services: list[Service] = [
            rules,
            *open_people(workplace, detector),
            detector,
            *open_context(workplace),
            *open_coverage(workplace),
        ]
        if not once:
            warm_up()
        with watched(services, workplace, metrics, once=once) as beat:
            work(services, workplace.clock, once=once, follows=True, observe=beat)


def score_series(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="CSV with the columns timestamp, value.")],
    output: Annotated[Path, typer.Option(help="CSV with timestamp, value, anomaly_score (0 to 1).")],
) -> None:
    """Score one series from the past only.

    Example: txwatch score-series requests.csv --output scores.csv
    """
    summary = score_series_file(source, output)
    typer.echo(
        f"{summary.rows:,} windows scored, {summary.alarms:,} alarms at {summary.threshold:g}, "
        f"{summary.missing:,} without a value",
        err=True,
    )


def open_detector(workplace: Workplace, *, window_seconds: int | None = None) -> DetectorService:
    """Return the detector of this workplace, with the state of its last snapshot and the acts since."""
    settings = workplace.settings
    remembered = _remembered(workplace, window_seconds)
    if isinstance(workplace.store, ChangeStore):
        versions = {"rules": remembered.configuration.version, "code": __version__}
        for kind in note_changes(workplace.store, versions, workplace.clock.now()):
            if kind != "rules":  # of those the ledger keeps every version, with a record of its own
                workplace.ledger.record("detectors", f"{kind} in use", {"version": versions[kind]})
    return DetectorService(
        workplace.store,
        workplace.ledger,
        remembered.detection,
        workplace.clock,
        at=remembered.at,
        pending=remembered.pending,
        aside=ThreadPoolExecutor(1, thread_name_prefix="snapshots"),
        batch=settings.scored_together,
        snapshot_seconds=settings.snapshot_seconds,
    )


def open_rules(workplace: Workplace, detector: DetectorService, *, once: bool) -> RulesService:
    """Return the service that takes an edited rules file into a detector; it steps before that.

    A file with faults stops who runs `once`; whoever goes on does so with the version in force.
    """
    store = workplace.store
    service = RulesService(
        rules_path(workplace.settings),
        detector,
        workplace.ledger,
        workplace.clock,
        ThreadPoolExecutor(1, thread_name_prefix="rules"),
        store=store if isinstance(store, ChangeStore) else None,
        require_apply=workplace.settings.require_apply,
    )
    service.catch_up(strictly=once)
    return service


def open_people(workplace: Workplace, detector: DetectorService) -> list[Service]:
    """Return the services that tell a detector what people say of anomalies and models, before it."""
    store = workplace.store
    marks = store if isinstance(store, ChangeStore) else None
    return [
        LabelsService(detector, workplace.ledger, store, workplace.clock),
        ModelsService(detector, workplace.ledger, workplace.clock, store=marks),
        *open_copies(workplace),
    ]


def open_copies(workplace: Workplace) -> list[Service]:
    """Return what copies versions, models and labels for dashboards, where the store takes copies."""
    store, ledger, clock = workplace.store, workplace.ledger, workplace.clock
    if not isinstance(store, CopyStore):
        return []
    sources: list[Source] = [RulesCopies(ledger.rules()), ModelCopies(ledger.models())]
    labels = LabelCopies(cast("AnomaliesAndCopies", store), ledger, clock)
    handling = HandlingService(store, ledger, clock)
    return [CopyService("versions", store, sources, clock, COPIES_EVERY), labels, handling]


def open_context(workplace: Workplace) -> list[Service]:
    """Return the service that keeps what surrounds anomalies, where readers may not see everything."""
    if not isinstance(workplace.store, TransactionsAndContext):
        return []
    own = workplace.open_store()
    aside = ThreadPoolExecutor(1, thread_name_prefix="context")
    return [ContextService(cast("TransactionsAndContext", own), workplace.ledger, aside)]


def open_coverage(workplace: Workplace) -> list[Service]:
    """Return the service that copies what was looked at to dashboards, after a detector."""
    store, kept = workplace.store, retention_policy(workplace.settings).transactions
    copies = store if isinstance(store, CoverageStore) else None
    return [CoverageService(workplace.ledger, workplace.clock, kept, copies)]


def _remembered(workplace: Workplace, window_seconds: int | None) -> Recalled:
    settings = workplace.settings
    try:
        return recalled(
            workplace.ledger,
            rules_path(settings),
            require_apply=settings.require_apply,
            window_seconds=window_seconds,
        )
    except SnapshotError as error:
        raise SnapshotError(
            f"{error}. To start with empty baselines, delete {settings.home_path / 'snapshots'}; "
            "the transactions in the store are then scored anew"
        ) from error


def warm_up() -> None:
    """Compile every kernel: seconds on a fresh machine, a moment from the compiled cache."""
    warm.warm_up()
    rules_warm.warm_up()
    series_warm.warm_up()


MOST_DELAY_DAYS = 365


class ScoreSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What `score` did."""

    transactions: int
    anomalies: int


class LabelsFile(msgspec.Struct, frozen=True, kw_only=True):
    """Labels that come back so many days after their payments."""

    path: Path
    delay_days: int


def score_frames(
    frames: Iterable[pl.DataFrame], output: Path, settings: Settings, labels: LabelsFile | None = None
) -> ScoreSummary:
    """Score frames (columns TRANSACTION, in event-time order) into a .jsonl or .parquet file."""
    if output.suffix not in {".jsonl", ".parquet"}:
        raise UsageError(f"{output} ends neither in .jsonl nor in .parquet")
    engine, late = _engine(rules_path(settings), labels)
    transactions = anomalies = 0
    with JsonLines(output, engine) if output.suffix == ".jsonl" else Parquet(output) as writer:
        for batch, scored in score(frames, engine, settings.scored_together, late):
            writer.write(batch, scored)
            transactions += batch.height
            anomalies += int(scored.is_anomaly.sum())
    return ScoreSummary(transactions=transactions, anomalies=anomalies)


def _engine(rules: Path, labels: LabelsFile | None) -> tuple[Engine, LateLabels | None]:
    """Return a fresh engine of a rules file; with labels, one that learns from them as they become due."""
    configuration = read_configuration(rules)
    if labels is None:
        return Engine(configuration.detection, configuration.rulebook()), None
    feedback = configuration.detection.feedback or Feedback()
    detection = msgspec.structs.replace(
        configuration.detection, feedback=msgspec.structs.replace(feedback, delay_days=labels.delay_days)
    )
    late = LateLabels(read_frauds(labels.path), labels.delay_days)
    return Engine(detection, configuration.rulebook()), late


class BacktestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a backtest compares, and how it counts."""

    configs: Sequence[Path]
    """Rules files, the champion first; the one in use where none is named."""
    truth: Path
    feedback: LabelsFile | None = None
    """With it, the champion runs a second time, with these labels as feedback."""
    leave_out: Sequence[str] = ()
    """Kinds of frauds that count neither as right nor as wrong."""
    plan: Plan
    html: Path | None = None


def backtest_plan(budgets: Sequence[int], skip_days: int, draws: int, seed: int) -> Plan:
    """Return how to count, the budgets in order."""
    return Plan(budgets=sorted(set(budgets)), skip_days=skip_days, draws=draws, seed=seed)


def backtest_frames(
    frames: Iterable[pl.DataFrame], options: BacktestOptions, settings: Settings
) -> list[Figures]:
    """Score frames (columns TRANSACTION, in event-time order) with every contender; then come the labels."""
    truth = read_truth(options.truth, options.leave_out)
    paths = options.configs or [rules_path(settings)]
    contenders = [_contender(str(path), path, None) for path in paths]
    if options.feedback is not None:
        name = f"{paths[0]}, labels {options.feedback.delay_days} days late"
        contenders.append(_contender(name, paths[0], options.feedback))
    judged = judge(contest(frames, contenders, settings.scored_together), truth, options.plan)
    figures = figures_of(judged, options.plan)
    if options.html is not None:
        with Page(options.html) as file:
            file.write(page(f"Backtest of {options.truth.name}", figures, judged))
    return figures


def told_backtest(figures: Sequence[Figures]) -> Iterable[str]:
    """Return a backtest as lines of text."""
    return told(figures)


def _contender(name: str, rules: Path, labels: LabelsFile | None) -> Contender:
    engine, late = _engine(rules, labels)
    return Contender(name=name, engine=engine, labels=late)


def labels_file(path: Path, delay: str) -> LabelsFile:
    """Return a labels file with its delay ("7d"); raises UsageError when that is not whole days."""
    days = delay.removesuffix("d")
    if not (delay.endswith("d") and days.isascii() and days.isdigit() and 1 <= int(days) <= MOST_DELAY_DAYS):
        raise UsageError(f"a label delay is whole days from 1d to {MOST_DELAY_DAYS}d, not {delay!r}")
    return LabelsFile(path=path, delay_days=int(days))


def check_rules(settings: Settings) -> tuple[Path, int]:
    """Return the rules file in use and how many rules it has; raises ConfigurationError with its faults."""
    path = rules_path(settings)
    return path, len(read_configuration(path).rulebook().rules)
