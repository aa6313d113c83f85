"""Services are stepped in turn until there is nothing left or somebody asks to stop."""

import os
import signal

import pytest

from txwatch.clock import SystemClock
from txwatch.ports import Health, Progress
from txwatch.supervise import StopRequest, close_all, stop_on_signals, supervise, work
from txwatch.testing import ManualClock


class Countdown:
    """A service with a number of steps to do."""

    def __init__(self, steps: int, *, finishes: bool = True, fails_to_close: bool = False) -> None:
        self.name = "countdown"
        self.left = steps
        self.closed = False
        self._finishes = finishes
        self._fails = fails_to_close

    def step(self) -> Progress:
        handled = min(self.left, 1)
        self.left -= handled
        return Progress(handled=handled, finished=self._finishes and self.left == 0)

    def health(self) -> Health:
        return Health(name=self.name, state="ok", sentence="")

    def close(self) -> None:
        self.closed = True
        if self._fails:
            raise OSError("disk full")


def test_it_returns_when_every_service_has_finished():
    """The longest service decides."""
    services = [Countdown(3), Countdown(7)]

    supervise(services, SystemClock(), StopRequest())

    assert [s.left for s in services] == [0, 0]


def test_once_returns_at_the_first_idle_round():
    """A source that never finishes does not hold `--once`."""
    service = Countdown(4, finishes=False)

    supervise([service], SystemClock(), StopRequest(), once=True)

    assert service.left == 0


def test_a_run_to_the_end_waits_for_what_is_there():
    """A store that is busy for a while does not end it early."""

    class Waiting(Countdown):
        def step(self) -> Progress:
            self.left -= 1
            return Progress(handled=0, waiting=self.left > 0)

    service = Waiting(3)

    supervise([service], ManualClock(), StopRequest(), once=True)

    assert service.left == 0


def test_a_stop_is_answered_between_two_steps():
    """A stop asked for while observing ends the loop after that round."""
    stop, service = StopRequest(), Countdown(100)

    supervise([service], SystemClock(), stop, observe=lambda: stop.ask("enough"))

    assert service.left == 99
    assert stop.reason == "enough"


def test_work_answers_the_stop_that_it_was_given():
    """A request that has not been made yet is still the one to listen to; services are closed."""
    stop, service = StopRequest(), Countdown(100)

    work([service], SystemClock(), stop=stop, observe=lambda: stop.ask("enough"))

    assert service.left == 99
    assert service.closed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_becomes_a_stop_request_and_the_handlers_come_back(number):
    """SIGTERM and SIGINT drain; afterwards the process handles signals as before."""
    stop, before = StopRequest(), signal.getsignal(number)

    with stop_on_signals(stop, lambda: None):
        os.kill(os.getpid(), number)

    assert stop.reason == signal.Signals(number).name
    assert signal.getsignal(number) is before


def test_one_service_that_fails_to_close_does_not_keep_the_others_open():
    """Every service is closed; the error is told afterwards."""
    services = [Countdown(0, fails_to_close=True), Countdown(0)]

    with pytest.raises(OSError, match="disk full"):
        close_all(services)

    assert services[1].closed
