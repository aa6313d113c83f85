"""Run services in turn in one process until they finish or the process is asked to stop.

One thread, one step at a time: a batch is collected, then scored, then announced.  Nothing is shared
but the store and the ledger, so the same services run alone in processes of their own.
"""

import gc
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from txwatch.clock import SystemClock
from txwatch.ports import Clock, Service

IDLE_SECONDS = 0.05
"""How long to wait when no service had anything to do."""

Observer = Callable[[], None]


class StopRequest:
    """Whether somebody asked the process to stop: SIGTERM, SIGINT, a deadline, a full quota."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def __bool__(self) -> bool:
        """Tell whether a stop was asked for."""
        return self.reason is not None

    def ask(self, reason: str) -> None:
        """Ask for a stop; the first reason is kept."""
        self.reason = self.reason or reason


@contextmanager
def stop_on_signals(stop: StopRequest, wake: Callable[[], None]) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a stop request; a second SIGINT ends the process at once."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.ask(signal.Signals(number).name)
        wake()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def supervise(
    services: Sequence[Service],
    clock: Clock,
    stop: StopRequest,
    *,
    once: bool = False,
    follows: bool = False,
    observe: Observer = lambda: None,
) -> None:
    """Step every service in turn; return when all have finished, or when asked to stop.

    With `once`, return as soon as a whole round found nothing to do and nothing to wait for.  Services that
    follow other processes have never finished: `follows` goes on until asked to stop.  `observe` is called
    after every round.  A stop is answered between two rounds, so every step is finished and
    committed; `close`, which persists what is in memory, is the caller's.
    """
    while not stop:
        progress = [service.step() for service in services]
        observe()
        if sum(step.handled for step in progress) == 0:
            waiting = any(step.waiting for step in progress)
            if (once and not waiting) or (not follows and all(step.finished for step in progress)):
                return
            clock.sleep(IDLE_SECONDS)


def work(
    services: Sequence[Service],
    clock: SystemClock,
    *,
    stop: StopRequest | None = None,
    once: bool = False,
    follows: bool = False,
    observe: Observer = lambda: None,
) -> None:
    """Supervise the services of a command until done or signalled, then close them whatever happened."""
    stop = StopRequest() if stop is None else stop
    keep_what_is_there()
    with stop_on_signals(stop, clock.wake):
        try:
            supervise(services, clock, stop, once=once, follows=follows and not once, observe=observe)
        finally:
            close_all(services)


def keep_what_is_there() -> None:
    """Tell Python's garbage collector that all objects so far stay; call once before long work.

    Hundreds of thousands of objects of libraries and compiled code live as long as the process; looking at
    them again and again for garbage took a tenth of a collector's processor time
    (<https://docs.python.org/3/library/gc.html#gc.freeze>).
    """
    gc.collect()
    gc.freeze()


def close_all(services: Sequence[Service]) -> None:
    """Close every service, the source first; an error in one does not keep the others open."""
    errors: list[Exception] = []
    for service in services:
        try:
            service.close()
        except Exception as error:  # noqa: BLE001 - raised below, after the others were closed
            errors.append(error)
    if errors:
        raise errors[0]
