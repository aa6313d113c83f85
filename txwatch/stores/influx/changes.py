"""Changes of what detects, for the marks on dashboards: measurement `changes`, bucket `anomalies`.

A point is the time from which on a version was in use (tag `kind`: rules, code).
"""

from datetime import datetime

from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import ANOMALIES
from txwatch.stores.influx.points import nanoseconds, point
from txwatch.stores.influx.text import decode_tag

CHANGES = "changes"


def put_change(connection: Connection, kind: str, version: str, sentence: str, at: datetime) -> None:
    """Write one change."""
    fields = {"version": version, "sentence": sentence}
    connection.write(ANOMALIES, point(CHANGES, {"kind": kind}, fields, nanoseconds(at)).encode())


def versions_in_use(connection: Connection) -> dict[str, str]:
    """Return the newest version of each kind."""
    (result,) = connection.results(ANOMALIES, f"SELECT last(version) FROM {CHANGES} GROUP BY kind")  # noqa: S608 - no outside text
    found = result.get("series", ())
    return {decode_tag(series["tags"]["kind"]): str(series["values"][0][1]) for series in found}
