"""The ledger: operational state that needs a transaction, on SQLAlchemy Core.

Positions of the collector, cursors and snapshots of the detectors, the queue of discovered anomalies,
alert groups and their outbox, and the audit, a hash chain.  SQLite in WAL mode by default, PostgreSQL
when there are several machines: the same tables, statements and promises; what differs is in `database` and
`postgres`.
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
from txwatch.ledger.rulesshelf import RulesShelf
from txwatch.ledger.snapshots import Snapshot

__all__ = [
    "AlertBook",
    "Audited",
    "Channel",
    "Discovery",
    "Ledger",
    "Outgoing",
    "RulesShelf",
    "Snapshot",
    "Step",
    "StoredDecision",
    "StoredGroup",
    "StoredRoute",
]
