"""What services say reaches the store every ten seconds, and a store that is down stops nobody."""

from datetime import timedelta

from txwatch.errors import StoreBusyError
from txwatch.health import HealthRecorder, health_points
from txwatch.ports import Figure, Health
from txwatch.testing import ManualClock


class Steady:
    name = "collector"

    def health(self):
        lag = [
            Figure(name="lag", value=float(n), labels={"topic": "t", "partition": str(n)}) for n in range(2)
        ]
        return Health(
            name=self.name,
            state="degraded",
            sentence="slow",
            figures={"rows_total": 5.0},
            labelled=tuple(lag),
        )


class Kept:
    def __init__(self, *, down: bool = False):
        self.points, self.down = [], down

    def put_health(self, points):
        if self.down:
            raise StoreBusyError("down")
        self.points += points


def test_it_writes_at_once_and_then_every_ten_seconds():
    clock, store = ManualClock(), Kept()
    recorder = HealthRecorder([Steady()], store, clock)
    for _ in range(25):
        recorder()
        clock.advance(timedelta(seconds=1))

    assert len({point.at for point in store.points}) == 3


def test_a_point_has_the_state_the_figures_and_the_sentence():
    own, *_ = health_points(Steady().health(), ManualClock().now())

    assert own.values == {"state": 1.0, "rows_total": 5.0}
    assert (own.component, own.sentence, own.labels) == ("collector", "slow", {})


def test_figures_with_labels_are_points_of_their_own():
    _, *labelled = health_points(Steady().health(), ManualClock().now())

    assert [(point.labels["partition"], point.values) for point in labelled] == [
        ("0", {"lag": 0.0}),
        ("1", {"lag": 1.0}),
    ]


def test_a_store_that_is_down_is_counted_and_stops_nobody():
    recorder = HealthRecorder([Steady()], Kept(down=True), ManualClock())

    recorder()

    assert recorder.lost == 1
