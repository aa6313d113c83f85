"""Copies of the audit: every record once, in order, however often the service starts."""

from txwatch.auditing import AuditService
from txwatch.ledger import Ledger
from txwatch.testing import ManualClock


class Copies:
    """Takes what it is given."""

    def __init__(self):
        self.records = []

    def put_audit(self, records):
        self.records += records


def test_records_are_copied_once_and_in_order(tmp_path):
    """A service that starts again goes on behind the last."""
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", ManualClock())
    store = Copies()
    ledger.record("ann", "rule changed", {"rule": "a"})
    AuditService(store, ledger).step()
    ledger.record("ben", "rule changed", {"rule": "b"})
    AuditService(store, ledger).step()
    AuditService(store, ledger).step()
    ledger.close()

    assert [(each.number, each.actor) for each in store.records] == [(1, "ann"), (2, "ben")]
