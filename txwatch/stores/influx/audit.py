"""Copies of the ledger's audit: measurement `audit`, bucket `audit`, which keeps them for ever.

A record is one point: its time, with its number below the millisecond, and the tag `action`, whose words
are those of our own commands.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from txwatch.ports import AuditRecord
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import AUDIT, NOTHING
from txwatch.stores.influx.points import FieldValue, point, point_time

MEASUREMENT = "audit"


def put_audit(connection: Connection, records: Sequence[AuditRecord]) -> None:
    """Write records."""
    if records:
        connection.write(AUDIT, "\n".join(map(audit_line, records)).encode())


def audit_line(record: AuditRecord) -> str:
    """Return a record as a line."""
    fields: dict[str, FieldValue] = {
        "number": record.number,
        "actor": record.actor or NOTHING,
        "facts": record.facts or NOTHING,
        "hash": record.hash,
    }
    time = point_time(datetime.fromtimestamp(record.at, UTC), record.number)
    return point(MEASUREMENT, {"action": record.action or NOTHING}, fields, time)
