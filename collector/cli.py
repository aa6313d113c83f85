"""The collector's command, and what the command line needs of this room."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import polars as pl
import typer

from collector import commands
from collector.deadletter import open_dead_letters
from collector.entities.service import EntityService
from collector.files import FileSource, find_files
from collector.jsonschema import as_sent
from collector.kafka.address import is_kafka
from collector.kafka.opening import open_kafka, open_sending
from collector.metrics.service import MetricsService, MetricsSettings
from collector.offline import read_inputs
from collector.pace import PacedSource
from collector.pipeline import CollectorService, NoPositions
from collector.retention import kept_transactions
from collector.schema import Schema, load_schema, with_options
from collector.simulator import commands as simulator_commands
from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import LABELS, Simulation
from collector.simulator.source import SimulatorSource, source_name
from collector.source import SharedSource, Source
from collector.websocket.opening import is_websocket, open_websocket
from txwatch.canary import canaries_of
from txwatch.clock import SystemClock
from txwatch.errors import UsageError
from txwatch.health import watched
from txwatch.housekeeping import ExpiringStore, HousekeepingService
from txwatch.monitor import Address
from txwatch.ports import EntityStore, Service
from txwatch.settings import Settings, current_environment, current_settings
from txwatch.shipped import retention_policy, rules_document, rules_path, section
from txwatch.supervise import work
from txwatch.workplace import Workplace, open_size, open_workplace

Inputs = Annotated[
    list[str] | None,
    typer.Argument(help="Files, folders, globs, or one kafka://, wss:// or listen+wss:// address."),
]
Map = Annotated[list[str] | None, typer.Option("--map", help="FIELD=COLUMN: the producer's name of a field.")]
Default = Annotated[list[str] | None, typer.Option("--default", help="FIELD=VALUE where nothing is sent.")]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="A producer's schema file.")]
Speed = Annotated[float, typer.Option(min=0, help="Replay at so many times real time; 0 is at once.")]
Once = Annotated[bool, typer.Option("--once", help="Take what is there, then end.")]
Derive = Annotated[
    bool, typer.Option("--derive/--no-derive", help="Whether to compute traffic and entities here, too.")
]
Csv = Annotated[bool, typer.Option("--csv", help="Standard input is CSV, not JSON Lines.")]


SHARED_BATCH = 20_000
"""Messages of a shared source written together at most: what is there when the last write is done."""


def mount(app: typer.Typer) -> None:
    """Add the collector's commands to the root command."""
    app.command()(collect)
    app.command()(derive)
    commands.mount(app)
    simulator_commands.mount(app)


def collect(
    inputs: Inputs = None,
    mapping: Map = None,
    default: Default = None,
    schema: SchemaFile = None,
    speed: Speed = 0.0,
    metrics: Address = None,
    *,
    derives: Derive = True,
    csv: Csv = False,
    once: Once = False,
) -> None:
    """Collect transactions into the store, alone; goes on where it stopped.

    From some thousands a second on, or with several collectors, use --no-derive and one `txwatch derive`.

    Example: txwatch collect kafka://localhost:9092/payments --metrics 127.0.0.1:9464
    """
    settings = current_settings()
    used = schema_of(settings, schema, mapping, default)
    with open_workplace(settings, writer=True, role="collector") as workplace:
        source = open_source(workplace, inputs, used, speed, once=once, stdin_csv=csv)
        derived = open_derived(workplace, live=is_live(source)) if derives else []
        kept = [] if once else [*open_housekeeping(workplace), *open_size(workplace)]
        services = [open_collector(workplace, source), *derived, *kept]
        with watched(services, workplace, metrics, once=once) as beat:
            work(services, workplace.clock, once=once, observe=beat)


def derive(metrics: Address = None, *, once: Once = False) -> None:
    """Compute traffic, users' and merchants' rows from the feed, alone; goes on where it stopped.

    Run one, beside collectors with --no-derive.

    Example: txwatch derive --metrics 127.0.0.1:9467
    """
    with open_workplace(current_settings(), writer=False, role="collector") as workplace:
        services = open_derived(workplace, live=True)
        with watched(services, workplace, metrics, once=once) as beat:
            work(services, workplace.clock, once=once, follows=True, observe=beat)


def schema_of(
    settings: Settings, file: Path | None, mapping: Sequence[str] | None, default: Sequence[str] | None
) -> Schema:
    """Return the schema that options and settings name together."""
    path = file or (Path(settings.schema) if settings.schema else None)
    return with_options(load_schema(path) if path else Schema(), _pairs(mapping), _pairs(default))


def open_source(
    workplace: Workplace,
    inputs: Sequence[str] | None,
    schema: Schema,
    speed: float,
    *,
    once: bool = False,
    stdin_csv: bool = False,
) -> Source:
    """Return the source that the command or the settings name, at the place where it goes on.

    With `once`, topics of Kafka end where they end now; other sources know their end themselves.
    """
    names = list(inputs or ([workplace.settings.source] if workplace.settings.source else []))
    if not names:
        raise UsageError("name at least one file, folder, glob or address, or set TXWATCH_SOURCE")
    if is_kafka(names[0]):
        return _open_kafka(workplace, names, schema, once=once)
    if is_websocket(names[0]):
        return _open_websocket(workplace, names, schema)
    files, positions = find_files(names), workplace.ledger.positions
    source = FileSource(files, schema, positions, workplace.clock.now, stdin_csv=stdin_csv)
    return PacedSource(source, speed, workplace.clock) if speed else source


def _open_websocket(workplace: Workplace, names: Sequence[str], schema: Schema) -> Source:
    if len(names) > 1:
        raise UsageError("a WebSocket is a source of its own; name one address and nothing else")
    return open_websocket(
        names[0],
        schema,
        workplace.ledger,
        workplace.clock.now,
        current_environment(),
        workplace.settings.home_path,
        kept_transactions(workplace.settings),
    )


def _open_kafka(workplace: Workplace, names: Sequence[str], schema: Schema, *, once: bool) -> Source:
    if len(names) > 1:
        raise UsageError("Kafka is a source of its own; name several topics in one address, with commas")
    environment = current_environment()
    return open_kafka(
        names[0],
        schema,
        environment,
        now=workplace.clock.now,
        keep=kept_transactions(workplace.settings),
        forget=getattr(workplace.store, "forget", lambda _: None),
        dead_letters=open_dead_letters(names[0], environment),
        until_end=once,
    )


def open_collector(workplace: Workplace, source: Source) -> CollectorService:
    """Return the collector of this workplace; a shared source keeps its own positions."""
    shared = source if isinstance(source, SharedSource) else None
    return CollectorService(
        source,
        workplace.store,
        (shared and shared.dead_letters) or workplace.store,
        NoPositions() if shared else workplace.ledger,
        workplace.clock,
        batch=SHARED_BATCH if shared else workplace.settings.batch,
    )


def is_live(source: Source) -> bool:
    """Tell whether what a source gives happens now, or is replayed as if it did."""
    return not isinstance(source, FileSource)


def open_derived(workplace: Workplace, *, live: bool) -> list[Service]:
    """Return the services that compute what dashboards read from the feed.

    Transactions by user and merchant where the store needs them; traffic for sources that are live:
    history at full speed has so few transactions a window that its windows would be more than they are.
    """
    store, rates = workplace.store, _rates(workplace.settings)
    canaries = canaries_of(current_environment())
    services: list[Service] = []
    if live:
        metrics = MetricsSettings(rates=rates, canaries=canaries)
        services.append(MetricsService(store, workplace.ledger, workplace.clock, metrics))
    if isinstance(store, EntityStore):
        services.append(EntityService(store, workplace.ledger, rates=rates, canaries=canaries))
    return services


def open_message_sender(to: str, schema: Schema) -> Callable[[str, Mapping[str, object]], None]:
    """Return what sends one message, by its key and our fields, as producers of a Kafka topic send theirs."""
    if not is_kafka(to):
        raise UsageError(f"{to} is not of the form kafka://HOST:PORT/TOPIC")
    send = open_sending(to, current_environment())
    return lambda key, fields: send([(key.encode(), msgspec.json.encode(as_sent(fields, schema)))])


def open_housekeeping(workplace: Workplace) -> list[Service]:
    """Return what deletes old records, where the store does not do so by itself."""
    store, policy = workplace.store, retention_policy(workplace.settings)
    if not isinstance(store, ExpiringStore):
        return []
    return [HousekeepingService(store, workplace.ledger, workplace.clock, policy)]


def _rates(settings: Settings) -> dict[str, float]:
    """Return the value of each currency in the base currency, as rules.yaml has it."""
    document = rules_document(rules_path(settings))
    base = section(document, "base_currency", str, "EUR")
    rates = (document.section("detectors") or {}).get("rates") or {}
    return {base: 1.0, **{str(name): float(rate) for name, rate in rates.items()}}


def stream(
    inputs: Sequence[str], schema: Schema, *, notice: Callable[[str], None], stdin_csv: bool
) -> Iterator[tuple[pl.DataFrame, Mapping[str, int]]]:
    """Yield all inputs in event-time order as (rows, rejections by reason)."""
    for part in read_inputs(inputs, schema, SystemClock().now, stdin_csv=stdin_csv, notice=notice):
        counts: dict[str, int] = {}
        for record in part.rejected:
            sentence = f"{record.rejected.code}: {record.rejected.sentence}"
            counts[sentence] = counts.get(sentence, 0) + 1
        yield part.rows, counts


def _pairs(options: Sequence[str] | None) -> dict[str, str]:
    found = {}
    for option in options or ():
        name, sign, value = option.partition("=")
        if not sign or not name or not value:
            raise UsageError(f"{option!r} is not of the form FIELD=VALUE")
        found[name] = value
    return found


def open_simulation(
    workplace: Workplace, *, seed: int, users: int, speed: float
) -> tuple[Source, Callable[[datetime], tuple[pl.DataFrame, pl.DataFrame]]]:
    """Return a simulated source, paced, and what tells its (labels, episodes) up to an event time."""
    simulation = Simulation(SimulationSettings(seed=seed, users=users))
    source = SimulatorSource(simulation, workplace.ledger.positions(source_name(simulation.settings)))

    def truth(until: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        days = (until - simulation.settings.start).days + 1
        return pl.concat([pl.DataFrame(schema=LABELS), *source.labels]), simulation.episodes(days)

    return PacedSource(source, speed, workplace.clock), truth
