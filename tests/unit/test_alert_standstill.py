"""A notifier that stood still goes on, however long it did."""

from datetime import timedelta

from alert_builders import found, notifier, open_ledger, settings

from alerts.sending import Delivered
from txwatch.testing import ManualClock


class Taken:
    def send(self, notice, key, reference):
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
