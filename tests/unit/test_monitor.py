"""`/metrics` and `/healthz` say what the services say of themselves."""

import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from txwatch.errors import UsageError
from txwatch.monitor import MonitorServer, Pulse
from txwatch.ports import Figure, Health, Progress


class Room:
    name = "collector"

    def __init__(self, state: str = "ok") -> None:
        self.state = state

    def step(self) -> Progress:
        return Progress(handled=0)

    def health(self) -> Health:
        figures = {"stored_total": 1200.0, "lag_seconds": 0.25}
        return Health(name=self.name, state=self.state, sentence="1,200 stored", figures=figures)

    def close(self) -> None:
        pass


@pytest.fixture
def serve():
    servers = []

    def start(pulse: Pulse) -> str:
        servers.append(MonitorServer(pulse, "127.0.0.1", 0))
        return f"http://127.0.0.1:{servers[-1].port}"

    yield start
    for server in servers:
        server.close()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_figures_become_counters_and_gauges(serve):
    """A name ending in _total is a counter, any other a gauge, under the service's name."""
    pulse = Pulse([Room()])
    pulse.beat()

    status, text = get(serve(pulse) + "/metrics")

    assert status == 200
    assert "# TYPE txwatch_collector_stored_total counter" in text
    assert "txwatch_collector_stored_total 1200.0" in text
    assert "# TYPE txwatch_collector_lag_seconds gauge" in text
    assert "txwatch_collector_up 1.0" in text


def test_health_is_200_while_every_service_is_well(serve):
    """The body has one line a service."""
    pulse = Pulse([Room()])
    pulse.beat()

    assert get(serve(pulse) + "/healthz") == (200, "collector ok: 1,200 stored\n")


def test_health_is_503_when_a_service_has_failed(serve):
    """A failed service is named."""
    pulse = Pulse([Room("failed")])
    pulse.beat()

    status, text = get(serve(pulse) + "/healthz")

    assert status == 503
    assert text.startswith("collector failed")


def test_health_is_503_when_the_loop_stands_still(serve):
    """A process that is up but does nothing is not healthy."""
    times = iter([0.0, 1.0, 100.0])
    pulse = Pulse([Room()], monotonic=lambda: next(times))
    pulse.beat()

    status, text = get(serve(pulse) + "/healthz")

    assert status == 503
    assert "has not turned for 99 s" in text


def test_a_port_in_use_is_one_sentence(serve):
    """The address is named."""
    pulse = Pulse([Room()])
    port = int(serve(pulse).rsplit(":", 1)[1])

    with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}"):
        MonitorServer(pulse, "127.0.0.1", port)


def test_labelled_figures_become_one_metric_with_labels(serve):
    """One line a label, under one type; odd values are quoted as the exposition format wants it."""
    labelled = (
        Figure(name="kafka_lag", value=7, labels={"topic": "pay", "partition": "0"}),
        Figure(name="kafka_errors_total", value=2, labels={"error": "transport"}),
        Figure(name="kafka_lag", value=9, labels={"topic": 'odd"\\\n', "partition": "1"}),
    )
    pulse = Pulse([Room()])
    pulse.health = (Health(name="collector", state="ok", sentence="well", labelled=labelled),)

    _, text = get(serve(pulse) + "/metrics")

    families = {each.name: each for each in text_string_to_metric_families(text)}
    lag, errors = families["txwatch_collector_kafka_lag"], families["txwatch_collector_kafka_errors"]
    assert (lag.type, errors.type) == ("gauge", "counter")
    assert [(each.labels, each.value) for each in lag.samples] == [
        ({"topic": "pay", "partition": "0"}, 7.0),
        ({"topic": 'odd"\\\n', "partition": "1"}, 9.0),
    ]
    assert [(each.name, each.labels, each.value) for each in errors.samples] == [
        ("txwatch_collector_kafka_errors_total", {"error": "transport"}, 2.0)
    ]
