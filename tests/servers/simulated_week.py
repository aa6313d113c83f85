"""A simulated week, taken through the real collector and detectors into a real InfluxDB.

The clock is advanced by hand, so that arrivals and detections have the times that they would have live.
"""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import msgspec
import polars as pl

from alerts.acknowledging import acknowledge
from alerts.administer.showing import conditions
from alerts.canarying import CanaryService, CanarySettings
from alerts.groups import Group
from alerts.hiding import copied, hidings
from alerts.matching import Match
from alerts.notice import Notice
from alerts.notifier import RoutedNotifier
from alerts.outbox import Outbox
from alerts.policy import AlertSettings, ChannelSettings
from alerts.routes import Route
from alerts.sending import Delivered
from alerts.silences import Silence
from alerts.suppressions import Suppression
from collector.entities.service import EntityService
from collector.kafka.lag import Lag
from collector.metrics.service import MetricsService, MetricsSettings
from collector.pipeline import CollectorService
from collector.simulator.settings import SimulationSettings, rebased
from collector.simulator.simulation import Simulation
from collector.simulator.source import SimulatorSource
from collector.source import Collected, Source
from detectors.changes import note_changes
from detectors.configuration import read_configuration
from detectors.context import ContextService
from detectors.copies import ModelCopies, RulesCopies
from detectors.detection import Detection
from detectors.handling import HandlingService
from detectors.keeping import NOWHERE
from detectors.labelcopies import LabelCopies
from detectors.reloading import RulesService
from detectors.service import DetectorService
from txwatch.auditing import AuditService
from txwatch.canary import Canaries
from txwatch.copies import Copy
from txwatch.copying import CopyService
from txwatch.covered import CoverageService
from txwatch.health import HealthRecorder
from txwatch.ledger import Ledger
from txwatch.model import Anomaly, AnomalyLabel, Mode, Partition, Quarantined, Rejected, Verdict
from txwatch.ports import Clock, Health, Service
from txwatch.pseudonym import Pseudonyms
from txwatch.stores.influx.connection import Access
from txwatch.stores.influx.layout import STORE_BUCKETS
from txwatch.stores.influx.store import InfluxStore
from txwatch.storesize import StoreSizeService
from txwatch.testing import AtOnce, ManualClock

ROOT = Path(__file__).parents[2]
PSEUDONYMS = Pseudonyms(b"p" * 32)
CANARIES = Canaries(b"c" * 32)
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
LABELLED_BEFORE = timedelta(hours=12)
"""How long before the end somebody labels anomalies."""
MOST_LABELLED = 1_200
IN_SHADOW = """\
  - {id: from-spain, when: country = 'ES', severity: low, mode: shadow}
"""
FOR_FEW_PAYMENTS = """\
  forest: {warm_up: 300, refit_days: 1}
  drift: {least_payments: 20}
"""
SUPPRESSED, SILENCED = "load-tests", "0a1b2c3d4e5f"


class Week(msgspec.Struct, frozen=True, kw_only=True):
    """What was filled: half-open in event time, and the store as it is now."""

    since: datetime
    until: datetime
    store: InfluxStore
    labels: dict[str, Verdict]
    """What was said of which anomaly."""
    hid: dict[str, int]
    """How many anomalies each suppression and silence hid."""


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
    services = _services(store, ledger, settings, clock, window_seconds, _rules(folder))
    recorder = HealthRecorder(services, store, clock)
    labelled = False
    while clock.now() < until:
        turn = step if clock.now() < until - live else timedelta(seconds=2)
        clock.advance(min(turn, until - clock.now()))
        _take_turns(services)
        if clock.now() >= until - LABELLED_BEFORE and not labelled:
            labelled = _acknowledge(ledger, clock.now().timestamp())
            _label(ledger, MOST_LABELLED if labelled else 0)
        recorder()
    for service in services:
        service.close()
    recorder.write()
    labels = {each.anomaly_id: each.verdict for each in ledger.labels()}
    book = ledger.alerts()
    hid = {SUPPRESSED: book.suppressed(SUPPRESSED)[0], SILENCED: book.silenced(SILENCED)[0]}
    ledger.close()
    return Week(since=settings.start, until=until, store=store, labels=labels, hid=hid)


def _services(
    store: InfluxStore,
    ledger: Ledger,
    settings: SimulationSettings,
    clock: ManualClock,
    window_seconds: int | None,
    rules: Path,
) -> list[Service]:
    configuration = msgspec.structs.replace(
        read_configuration(rules, window_seconds=window_seconds), canaries=CANARIES
    )
    ledger.rules().edited(configuration.as_version(rules.name, "in the file at the start"))
    versions = {"rules": configuration.version, "code": "0.1.0"}
    for kind in note_changes(store, versions, clock.now()):
        if kind != "rules":
            ledger.record("detectors", f"{kind} in use", {"version": versions[kind]})
    source = WithCanaries(WithFaults(SimulatorSource(Simulation(settings), {}, live=clock), clock))
    detection = Detection.fresh(configuration)
    sources = [RulesCopies(ledger.rules()), ModelCopies(ledger.models())]
    detector = DetectorService(store, ledger, detection, clock, at=NOWHERE, aside=AtOnce(), batch=5_000)
    return [
        FromKafka(source, store, store, ledger, clock, batch=5_000),
        MetricsService(store, ledger, clock, MetricsSettings(rates=RATES, canaries=CANARIES)),
        EntityService(store, ledger, rates=RATES, canaries=CANARIES),
        RulesService(rules, detector, ledger, clock, AtOnce()),
        detector,
        ContextService(store, ledger, AtOnce()),
        CoverageService(ledger, clock, timedelta(days=30), store),
        CopyService("versions", store, sources, clock, timedelta(minutes=1)),
        LabelCopies(store, ledger, clock),
        HandlingService(store, ledger, clock),
        *_telling(store, ledger, settings, clock),
        CanaryService(source.send, CANARIES, ledger, clock, CanarySettings(patience=timedelta(hours=3))),
        StoreSizeService(store, clock),
        AuditService(store, ledger),
    ]


def _rules(folder: Path) -> Path:
    """Return the shipped rules and one in shadow, for few payments: models and drift windows take fewer."""
    text = (ROOT / "rules.yaml").read_text()
    path = folder / "rules.yaml"
    added = {"rules": IN_SHADOW, "detectors": FOR_FEW_PAYMENTS}
    for section, lines in added.items():
        text = text.replace(f"\n{section}:\n", f"\n{section}:\n{lines}")
    path.write_text(text)
    return path


def _telling(
    store: InfluxStore, ledger: Ledger, settings: SimulationSettings, clock: ManualClock
) -> list[Service]:
    """Return a notifier with one channel, a suppression and a silence, and what copies these two."""
    book, begins = ledger.alerts(), settings.start
    policy = AlertSettings(
        channels={"ops": ChannelSettings(kind="slack", to=("#fraud",))},
        route=Route(channels=("ops",)),
        canary=("ops",),
        suppressions=(
            Suppression(
                name=SUPPRESSED,
                match=Match(country=("ES",)),
                owner="ada",
                reason="load tests from Spain until the contract ends",
                since=begins.date() + timedelta(days=1),
                until=begins.date() + timedelta(days=20),
            ),
        ),
    )
    silence = Silence(
        silence_id=SILENCED,
        match=Match(channel=("pos",)),
        since=begins + timedelta(days=4),
        until=begins + timedelta(days=6),
        comment="terminals are moved to another network",
        author="grace",
    )
    book.put_silence(silence.silence_id, msgspec.json.encode(silence), clock.now().timestamp(), "grace")
    outbox = Outbox(book, {"ops": Answering()}, policy.channels, random.Random(1))

    def hidden() -> list[Copy]:
        found = hidings(book, policy.suppressions, clock.now())
        return [copied(each, ", ".join(conditions(each.match, {}))) for each in found]

    return [
        RoutedNotifier(ledger, policy, outbox, clock, pseudonym=PSEUDONYMS, dashboards=""),
        CopyService("hidings", store, [hidden], clock, timedelta(minutes=1)),
    ]


def _label(ledger: Ledger, most: int) -> None:
    """Say of the anomalies so far what a person would: some are labelled."""
    said = cycle([Verdict.FRAUD, None, Verdict.FALSE_POSITIVE, None, None, Verdict.FRAUD, Verdict.UNCLEAR])
    found = [msgspec.json.decode(entry.document, type=Anomaly) for entry in ledger.discovered(0, most)]
    for anomaly, verdict in zip((each for each in found if each.mode is Mode.LIVE), said, strict=False):
        if verdict is not None:
            given = AnomalyLabel(
                anomaly_id=anomaly.anomaly_id,
                transaction_id=anomaly.transaction_id,
                verdict=verdict,
                by="grace",
            )
            ledger.label(given)


def _acknowledge(ledger: Ledger, at: float) -> bool:
    """Acknowledge the newest open group; tell whether there was one."""
    for document in ledger.alerts().groups(limit=1, only_open=True):
        acknowledge(ledger.alerts(), msgspec.json.decode(document, type=Group).group_id, "olga", at)
        return True
    return False


def _take_turns(services: Sequence[Service]) -> None:
    handled = 1
    while handled:
        handled = sum(service.step().handled for service in services)


class FromKafka(CollectorService):
    """Says of itself what a collector from Kafka does as well."""

    def health(self) -> Health:
        """Return it, with messages waiting in two partitions by librdkafka's statistics."""
        waiting = {str(n): {"consumer_lag": 40 + n} for n in range(2)}
        lag = Lag()
        lag.heard(msgspec.json.encode({"topics": {"payments": {"partitions": waiting}}}).decode())
        return msgspec.structs.replace(
            super().health(), labelled=lag.figures([("payments", 0), ("payments", 1)])
        )


class Answering:
    """A channel that takes every notice."""

    def send(self, notice: Notice, key: str, reference: str) -> Delivered:
        """Take it."""
        return Delivered(reference=key)


class WithCanaries:
    """A source into which canaries can be sent."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sent: list[dict[str, object]] = []
        self._count = 0
        self.commit, self.close = source.commit, source.close

    def send(self, _key: str, fields: Mapping[str, object]) -> None:
        """Take a canary."""
        at = datetime.fromisoformat(str(fields["timestamp"]))
        position = {"source": "canaries", "partition": 0, "sequence": self._count}
        self._sent.append({**fields, **position, "timestamp": at, "status": "approved"})
        self._count += 1

    def read(self, limit: int) -> Collected:
        """Return what the source gives, and the canaries that were sent."""
        given = self._source.read(limit)
        if not self._sent:
            return given
        sent, self._sent = pl.DataFrame(self._sent, schema=given.rows.schema), []
        positions = {**given.positions, Partition("canaries", 0): self._count}
        return msgspec.structs.replace(given, rows=pl.concat([given.rows, sent]), positions=positions)


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
