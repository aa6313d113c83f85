"""Copies of the ledger's records: a measurement each, in the bucket of those who may read it.

    models,name=forest number=3i,version="9c..",state="champion",... <when it was registered>
    labels,kind=rule,name=card-testing verdict="fraud",... <event time of the anomaly>
    handling anomaly_id="1f..",actor="grace",did="said fraud",text="..." <when somebody did so>

Versions of rules, suppressions and silences say who did what and why, so they are for administrators;
models and labels name nobody, and administrators see labels, too, to judge rules by.  What people did about
an anomaly is for whoever looks at it, but what they wrote, in which an id may stand, for investigators only.

Guarantee: written again, a record is the same point.
"""

from collections.abc import Sequence

from txwatch.copies import Copy
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import ANOMALIES, AUDIT, CASES, METRICS, NOTHING
from txwatch.stores.influx.points import point, point_time

PLACES = {
    "rules_versions": (AUDIT,),
    "rules": (AUDIT,),
    "hidings": (AUDIT,),
    "models": (METRICS,),
    "labels": (METRICS, AUDIT),
    "handling": (CASES, ANOMALIES),
}
"""Kind of record -> buckets."""

FREE_TEXT = "text"
"""The value that operators do not see."""


def put_copies(connection: Connection, copies: Sequence[Copy]) -> None:
    """Write records."""
    for bucket in (METRICS, AUDIT, CASES, ANOMALIES):
        lines = [copy_line(each, bucket) for each in copies if bucket in PLACES[each.kind]]
        if lines:
            connection.write(bucket, "\n".join(lines).encode())


def copy_line(copied: Copy, bucket: str) -> str:
    """Return a record as a line for a bucket."""
    fields = {name: NOTHING if value == "" else value for name, value in copied.values.items()}
    if bucket == ANOMALIES and FREE_TEXT in fields:
        fields[FREE_TEXT] = NOTHING
    return point(copied.kind, copied.labels, fields, point_time(copied.at, copied.number))
