"""One point as a line of line protocol, for records that come by the dozen."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from txwatch.stores.influx.layout import LAP, LAPS
from txwatch.stores.influx.text import string_field, tag

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
MILLISECOND = timedelta(milliseconds=1)

FieldValue = str | int | float | bool | None


def point(measurement: str, tags: Mapping[str, str], fields: Mapping[str, FieldValue], time: int) -> str:
    """Return a line; `time` is in nanoseconds, fields that are None are left out."""
    key = "".join(f",{name}={tag(value)}" for name, value in sorted(tags.items()))
    values = ",".join(f"{name}={_field(value)}" for name, value in fields.items() if value is not None)
    return f"{measurement}{key} {values} {time}"


def point_time(time: datetime, sequence: int) -> int:
    """Return `time` to the millisecond with the sequence in the nanoseconds below."""
    return (time - EPOCH) // MILLISECOND * 1_000_000 + sequence % LAP


def lap(sequence: int) -> str:
    """Return the tag that tells sequences apart which share those nanoseconds."""
    return str(sequence // LAP % LAPS)


def nanoseconds(time: datetime) -> int:
    """Return an aware time as nanoseconds since 1970 UTC, exactly."""
    return (time - EPOCH) // timedelta(microseconds=1) * 1000


def _field(value: str | float) -> str:
    if isinstance(value, str):
        return string_field(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value}i" if isinstance(value, int) else repr(float(value))
