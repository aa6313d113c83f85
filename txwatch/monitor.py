"""`/metrics` and `/healthz` of a long-running command, from what its services say of themselves.

Every figure of `Health` becomes the metric `txwatch_<service>_<figure>`: a counter when its name ends in
`_total`, else a gauge.  `/healthz` answers 200 while no service has failed and the loop still
turns, else 503; its body says what is wrong, in one line a service.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import typer
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from txwatch.errors import UsageError
from txwatch.ports import Figure, Health, Service

STALLED_SECONDS = 30.0
"""A loop that has not turned for so long is reported as failed."""


class Pulse:
    """When the loop last turned, and what the services said then; written there, read by requests."""

    def __init__(self, services: Sequence[Service], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._monotonic = monotonic
        self._seen = monotonic()
        self.health: tuple[Health, ...] = ()

    def beat(self) -> None:
        """Note that the loop turned; call it once a round."""
        self._seen = self._monotonic()
        self.health = tuple(service.health() for service in self._services)

    def verdict(self) -> tuple[bool, str]:
        """Return whether all is well, and one line a service that says so."""
        still = self._monotonic() - self._seen
        lines = [f"{h.name} {h.state}: {h.sentence}" for h in self.health]
        if still > STALLED_SECONDS:
            lines.append(f"loop failed: it has not turned for {still:.0f} s")
        well = still <= STALLED_SECONDS and all(h.state != "failed" for h in self.health)
        return well, "\n".join(lines) + "\n"


class HealthMetrics(Collector):
    """The figures of the last beat as Prometheus metrics."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse

    def collect(self) -> Iterator[Metric]:
        """Yield one metric a figure, and `txwatch_<service>_up`."""
        for health in self._pulse.health:
            up = float(health.state != "failed")
            yield GaugeMetricFamily(f"txwatch_{health.name}_up", "1 unless the service has failed", up)
            for name, value in health.figures.items():
                yield _metric(f"txwatch_{health.name}_{name}", [Figure(name=name, value=value)])
            for name, figures in _by_name(health.labelled).items():
                yield _metric(f"txwatch_{health.name}_{name}", figures)


class MonitorServer:
    """Serves `/metrics` and `/healthz` from a thread of its own; `port` 0 takes a free one."""

    def __init__(self, pulse: Pulse, host: str, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(HealthMetrics(pulse))
        try:
            self._server = make_server(host, port, _application(pulse, registry), WSGIServer, _QuietHandler)
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="monitor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


Address = Annotated[str | None, typer.Option("--metrics", help="HOST:PORT for /metrics and /healthz.")]
"""The option of every long-running command."""


@contextmanager
def monitored(services: Sequence[Service], address: str | None) -> Iterator[Callable[[], None]]:
    """Serve what the services say at `address` (None: nowhere); yields what to call every round."""
    pulse = Pulse(services)
    if address is None:
        yield lambda: None
        return
    server = MonitorServer(pulse, *host_and_port(address))
    try:
        yield pulse.beat
    finally:
        server.close()


def host_and_port(address: str) -> tuple[str, int]:
    """Return the two parts of HOST:PORT; raises UsageError for anything else."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"{address!r} is not of the form HOST:PORT")
    return host, int(port)


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: a probe every few seconds is no news."""


Application = Callable[[WSGIEnvironment, StartResponse], "list[bytes]"]


def _application(pulse: Pulse, registry: CollectorRegistry) -> Application:
    metrics = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            return list(metrics(environ, start))
        if path == "/healthz":
            well, text = pulse.verdict()
            return _plain(start, "200 OK" if well else "503 Service Unavailable", text)
        return _plain(start, "404 Not Found", "there is /metrics and /healthz\n")

    return answer


def _plain(start: StartResponse, status: str, text: str) -> list[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode()]


def _by_name(figures: Iterable[Figure]) -> dict[str, list[Figure]]:
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        found.setdefault(figure.name, []).append(figure)
    return found


def _metric(name: str, figures: Sequence[Figure]) -> Metric:
    labels = list(figures[0].labels)
    metric: CounterMetricFamily | GaugeMetricFamily
    if name.endswith("_total"):
        metric = CounterMetricFamily(name, "since the start of the process", labels=labels)
    else:
        metric = GaugeMetricFamily(name, "now", labels=labels)
    for figure in figures:
        metric.add_metric([figure.labels[label] for label in labels], figure.value)
    return metric
