"""The ledger: operational state that needs a transaction, on SQLAlchemy Core.

Positions of the collector, cursors and snapshots of the detectors, the queue of discovered anomalies,
alert groups and their outbox, and the audit, a hash chain.  SQLite in WAL mode by default; nothing here is
SQLite's own except how a connection is opened, so that PostgreSQL can take its place when there are several
machines.
"""

from txwatch.ledger.alertbook import AlertBook
from txwatch.ledger.alertrecords import (
    Audited,
    Channel,
    Outgoing,
    Step,
    StoredDecision,
    StoredGroup,
    StoredRoute,
)
from txwatch.ledger.ledger import Ledger
from txwatch.ledger.queue import Discovery
from txwatch.ledger.snapshots import Snapshot

__all__ = [
    "AlertBook",
    "Audited",
    "Channel",
    "Discovery",
    "Ledger",
    "Outgoing",
    "Snapshot",
    "Step",
    "StoredDecision",
    "StoredGroup",
    "StoredRoute",
]
