"""What services say of themselves, written to the store for the dashboards, beside /metrics."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import typer

from txwatch import __version__
from txwatch.errors import StoreError, TxwatchError
from txwatch.logs import HealthLog, open_log
from txwatch.monitor import monitored
from txwatch.ports import Clock, Health, HealthPoint, HealthStore, Service
from txwatch.workplace import Workplace

EVERY_SECONDS = 10.0
STATES = {"ok": 0.0, "degraded": 1.0, "failed": 2.0}


class HealthRecorder:
    """Call it every round: it writes what all services say every ten seconds.

    What cannot be written is left out and counted: a store that is down must not stop the services.
    """

    def __init__(self, services: Sequence[Service], store: HealthStore, clock: Clock) -> None:
        self._services, self._store, self._clock = services, store, clock
        self._written_at: datetime | None = None
        self.lost = 0

    def __call__(self) -> None:
        """Write, if it is time."""
        now = self._clock.now()
        if self._written_at is None or (now - self._written_at).total_seconds() >= EVERY_SECONDS:
            self.write()

    def write(self) -> None:
        """Write what all services say now."""
        now = self._written_at = self._clock.now()
        points = [point for service in self._services for point in health_points(service.health(), now)]
        try:
            self._store.put_health(points)
        except StoreError:
            self.lost += 1


def health_points(health: Health, at: datetime) -> list[HealthPoint]:
    """Return one point for the service, and one for each set of labels of its figures."""
    own = {"state": STATES.get(health.state, STATES["failed"]), **health.figures}
    points = [HealthPoint(component=health.name, at=at, values=own, sentence=health.sentence)]
    labelled: dict[tuple[tuple[str, str], ...], dict[str, float]] = defaultdict(dict)
    for figure in health.labelled:
        labelled[tuple(sorted(figure.labels.items()))][figure.name] = figure.value
    points += [
        HealthPoint(component=health.name, at=at, labels=dict(labels), values=values)
        for labels, values in labelled.items()
    ]
    return points


@contextmanager
def watched(
    services: Sequence[Service], workplace: Workplace, address: str | None, *, once: bool
) -> Iterator[Callable[[], None]]:
    """Serve what the services say at `address`, write it to the store, log it; yields what to call a round.

    Whoever runs something `once` reads a summary instead of a log, unless a program reads it.
    """
    store = workplace.store
    recorder = HealthRecorder(services, store, workplace.clock) if isinstance(store, HealthStore) else None
    logged = logging(services, workplace) if not once or workplace.settings.log_format == "json" else None
    with monitored(services, address) as beat, logged or told(services) as log:

        def round_done() -> None:
            beat()
            log()
            if recorder is not None:
                recorder()

        yield round_done
        if recorder is not None:
            recorder.write()


@contextmanager
def logging(services: Sequence[Service], workplace: Workplace) -> Iterator[Callable[[], None]]:
    """Log start, what happens, and end or failure; yields what to call every round."""
    log = HealthLog(services, open_log(workplace.settings.log_format), workplace.clock)
    log.started(version=__version__, home=str(workplace.settings.home_path))
    try:
        yield log
    except TxwatchError as error:
        log.failed(str(error))
        raise
    log.ended()


@contextmanager
def told(services: Sequence[Service]) -> Iterator[Callable[[], None]]:
    """Say at the end what each service did, one line each on standard error."""
    yield lambda: None
    for health in (service.health() for service in services):
        typer.echo(f"{health.name}: {health.sentence}", err=True)
