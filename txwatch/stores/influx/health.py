"""What services say of themselves in InfluxDB's bucket `metrics`, measurement `health`.

A point is one service at one time (tag `component`), or the part of it with further tags (such as topic
and partition): both are bounded by what is installed.  Fields are its figures.
"""

from collections.abc import Sequence

from txwatch.ports import HealthPoint
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import METRICS
from txwatch.stores.influx.points import FieldValue, nanoseconds, point

MEASUREMENT = "health"


def put_health(connection: Connection, points: Sequence[HealthPoint]) -> None:
    """Write points."""
    if points:
        connection.write(METRICS, "\n".join(map(health_line, points)).encode())


def health_line(said: HealthPoint) -> str:
    """Return a point as a line."""
    fields: dict[str, FieldValue] = {name: float(value) for name, value in said.values.items()}
    if said.sentence:
        fields["sentence"] = said.sentence
    return point(MEASUREMENT, {**said.labels, "component": said.component}, fields, nanoseconds(said.at))
