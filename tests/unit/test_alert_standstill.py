"""A notifier that stood still goes on, however long it did."""

import io
from datetime import timedelta

from alert_builders import found, notifier, open_ledger, settings

from alerts.channels import ConsoleChannel
from alerts.policy import AlertSettings
from alerts.sending import Delivered
from alerts.service import NotifierService
from txwatch.testing import ManualClock


class Taken:
    def __init__(self):
        self.keys = []

    def send(self, notice, key, reference):
        self.keys.append(key)
        return Delivered(reference="1")


def test_a_group_may_begin_and_end_in_one_turn(tmp_path):
    """It was never told, and its time to be over has come as well: both are told."""
    clock = ManualClock()
    ledger = open_ledger(tmp_path, clock)
    service = notifier(
        ledger, settings("ops", group_wait="30s", resolve_after="10m"), {"ops": Taken()}, clock
    )
    ledger.commit_step("detectors", {}, [found("a1")])
    service.step()
    clock.advance(timedelta(hours=2))
    while not service.step().finished:
        pass
    service.close()

    (group,) = {decision.group_id for decision in ledger.alerts().decisions("a1")}
    kinds = [decision.verdict for decision in ledger.alerts().decisions(group)]
    assert kinds == ["grouped", "first", "resolved"]


def everything(tmp_path, clock, routed):
    """Let the console and then the routes look, as one process does; return what each told."""
    lines, sent = io.StringIO(), Taken()
    ledger = open_ledger(tmp_path, clock)
    policy = settings("ops", group_wait="0s") if routed else AlertSettings()
    services = [
        NotifierService(ledger, [ConsoleChannel(lines)], policy),
        notifier(ledger, policy, {"ops": sent}, clock),
    ]
    for _ in range(3):
        for service in services:
            service.step()
    for service in services:
        service.close()
    return [line[-3:-1] for line in lines.getvalue().splitlines()], sent.keys


def test_what_is_found_before_the_first_start_is_told_by_the_routes(tmp_path):
    """Detectors may be first, and the console of the same process may read it first: nothing is lost."""
    clock = ManualClock()
    open_ledger(tmp_path, clock).commit_step("detectors", {}, [found("a1")])

    console, keys = everything(tmp_path, clock, routed=True)
    assert console == ["a1"]
    assert len(keys) == 1


def test_what_the_console_told_before_there_was_a_route_is_not_told_again(tmp_path):
    """Weeks of it would come at once when a route is written."""
    clock = ManualClock()
    ledger = open_ledger(tmp_path, clock)
    ledger.commit_step("detectors", {}, [found("a1")])
    everything(tmp_path, clock, routed=False)
    ledger.commit_step("detectors", {}, [found("a2", "u2")])

    console, keys = everything(tmp_path, clock, routed=True)
    assert console == ["a2"]
    assert len(keys) == 1
