"""A simulated week, taken through the real collector and detectors into a real InfluxDB.

The clock is advanced by hand, so that arrivals and detections have the times that they would have live.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import msgspec

from collector.entities.service import EntityService
from collector.metrics.service import MetricsService, MetricsSettings
from collector.pipeline import CollectorService
from collector.simulator.settings import SimulationSettings, rebased
from collector.simulator.simulation import Simulation
from collector.simulator.source import SimulatorSource
from collector.source import Collected, Source
from detectors.changes import note_changes
from detectors.configuration import read_configuration
from detectors.context import ContextService
from detectors.detection import Detection
from detectors.reloading import RulesService
from detectors.service import DetectorService
from txwatch.auditing import AuditService
from txwatch.health import HealthRecorder
from txwatch.ledger import Ledger
from txwatch.model import Quarantined, Rejected
from txwatch.ports import Clock, Figure, Health, Progress, Service
from txwatch.pseudonym import Pseudonyms
from txwatch.stores.influx.connection import Access
from txwatch.stores.influx.layout import STORE_BUCKETS
from txwatch.stores.influx.store import InfluxStore
from txwatch.storesize import StoreSizeService
from txwatch.testing import AtOnce, ManualClock

ROOT = Path(__file__).parents[2]
PSEUDONYMS = Pseudonyms(b"p" * 32)
RATES = {
    "AED": 0.24,
    "BRL": 0.17,
    "PLN": 0.23,
    "THB": 0.027,
    "ZAR": 0.05,
    "EUR": 1.0,
    "CHF": 1.07,
    "GBP": 1.15,
    "USD": 0.86,
}


class Week(msgspec.Struct, frozen=True, kw_only=True):
    """What was filled: half-open in event time, and the store as it is now."""

    since: datetime
    until: datetime
    store: InfluxStore


def fill(
    access: Access,
    folder: Path,
    *,
    users: int = 150,
    step: timedelta = timedelta(hours=2),
    live: timedelta = timedelta(0),
    until: datetime | None = None,
    window_seconds: int | None = None,
) -> Week:
    """Fill the seven days before that of `until` (now, if not given), and what there is of its own.

    Everything takes its turn every `step`, and every two seconds in the last `live` of it; `window_seconds`
    is the length of the windows of the series that detectors watch.
    """
    until = until or datetime.now(UTC)
    settings = rebased(SimulationSettings(seed=3, users=users, merchants=60), until, 7)
    clock = ManualClock(settings.start)
    store = InfluxStore(access, clock, pseudonym=PSEUDONYMS, buckets=STORE_BUCKETS)
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", clock)
    services = _services(store, ledger, settings, clock, window_seconds)
    recorder = HealthRecorder(services, store, clock)
    while clock.now() < until:
        turn = step if clock.now() < until - live else timedelta(seconds=2)
        clock.advance(min(turn, until - clock.now()))
        _take_turns(services)
        recorder()
    for service in services:
        service.close()
    recorder.write()
    ledger.close()
    return Week(since=settings.start, until=until, store=store)


def _services(
    store: InfluxStore,
    ledger: Ledger,
    settings: SimulationSettings,
    clock: ManualClock,
    window_seconds: int | None,
) -> list[Service]:
    configuration = read_configuration(ROOT / "rules.yaml", window_seconds=window_seconds)
    versions = {"rules": configuration.version, "code": "0.1.0"}
    for kind in note_changes(store, versions, clock.now()):
        ledger.record("detectors", f"{kind} in use", {"version": versions[kind]})
    source = SimulatorSource(Simulation(settings), {}, live=clock)
    detection = Detection.fresh(configuration)
    detector = DetectorService(store, ledger, detection, clock, at={}, aside=AtOnce(), batch=5_000)
    return [
        FromKafka(WithFaults(source, clock), store, store, ledger, clock, batch=5_000),
        MetricsService(store, ledger, clock, MetricsSettings(rates=RATES)),
        EntityService(store, ledger, rates=RATES),
        RulesService(ROOT / "rules.yaml", detector, ledger, clock, AtOnce()),
        detector,
        ContextService(store, ledger, AtOnce()),
        Telling(),
        Singing(),
        StoreSizeService(store, clock),
        AuditService(store, ledger),
    ]


def _take_turns(services: Sequence[Service]) -> None:
    handled = 1
    while handled:
        handled = sum(service.step().handled for service in services)


class FromKafka(CollectorService):
    """Says of itself what a collector from Kafka does as well."""

    def health(self) -> Health:
        """Return it, with messages waiting in two partitions."""
        lag = tuple(
            Figure(name="kafka_lag", value=40.0 + n, labels={"topic": "payments", "partition": str(n)})
            for n in range(2)
        )
        return msgspec.structs.replace(super().health(), labelled=lag)


class Telling:
    """Says of itself what a notifier does that sends one message a turn."""

    name = "notifications"
    _turns = 0

    def step(self) -> Progress:
        """Count the turn."""
        self._turns += 1
        return Progress(handled=0, finished=True)

    def health(self) -> Health:
        """Return it in the notifier's figures."""
        figures = {"groups": 1.0, "waiting": 0.0, "dead": 0.0, "sent_total": float(self._turns)}
        channel = {"channel_oldest_seconds": 3.0, "channel_dead_last_hour": 0.0}
        labelled = [
            Figure(name=name, value=each, labels={"channel": "ops"}) for name, each in channel.items()
        ]
        told = {"verdict": "grouped"}
        labelled.append(Figure(name="decisions_total", value=float(self._turns), labels=told))
        return Health(
            name=self.name, state="ok", sentence="1 group open", figures=figures, labelled=tuple(labelled)
        )

    def close(self) -> None:
        """Nothing to give back."""


class Singing(Telling):
    """Says of itself what the service of canaries does."""

    name = "canary"

    def health(self) -> Health:
        """Return it in that service's figures."""
        figures = {"time_to_alert_seconds": 2.0, "silent_seconds": 30.0, "missing": 0.0}
        return Health(name=self.name, state="ok", sentence="the last alert took 2 s", figures=figures)


class WithFaults:
    """A source with a message that is no transaction now and then."""

    def __init__(self, source: Source, clock: Clock) -> None:
        self._source, self._clock = source, clock
        self._codes = cycle(["not_json", "missing_field", "not_json"])
        self._faults = 0
        self.commit, self.close = source.commit, source.close

    def read(self, limit: int) -> Collected:
        """Return what the source gives, with a fault after about every hundred rows."""
        given = self._source.read(limit)
        faults = [self._fault() for _ in range(given.rows.height // 100)]
        return msgspec.structs.replace(given, rejected=tuple(faults))

    def _fault(self) -> Quarantined:
        self._faults += 1
        rejected = Rejected(code=next(self._codes), sentence="no transaction", raw=b"{}")
        now = self._clock.now()
        return Quarantined(
            source="faults", partition=0, sequence=self._faults, received_at=now, rejected=rejected
        )
