"""Windows of traffic in SQLite, in order of their start, so that a span of time is one range."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from txwatch.ports import TrafficPoint, TrafficQuery
from txwatch.stores.sqlite.conditions import Conditions, milliseconds
from txwatch.stores.sqlite.file import StoreFile

TABLES = (
    (
        "CREATE TABLE traffic (start INTEGER NOT NULL, seconds INTEGER NOT NULL, source TEXT NOT NULL, "
        "partition INTEGER NOT NULL, dimension TEXT NOT NULL, value TEXT NOT NULL, "
        "through INTEGER NOT NULL, count INTEGER NOT NULL, declined INTEGER NOT NULL, total REAL NOT NULL, "
        "lag_total REAL NOT NULL, lag_max REAL NOT NULL, users INTEGER NOT NULL, p50 REAL, p95 REAL, "
        "user_sketch BLOB NOT NULL, amount_sketch BLOB NOT NULL, "
        "PRIMARY KEY (start, seconds, source, partition, dimension, value)) WITHOUT ROWID"
    ),
)

_KEY = ("start", "seconds", "source", "partition", "dimension", "value")
_COLUMNS = (*_KEY, *(name for name in TrafficPoint.__struct_fields__ if name not in _KEY))
_CHANGED = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _KEY)
_PUT = (
    f"INSERT INTO traffic ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "
    f"ON CONFLICT DO UPDATE SET {_CHANGED} WHERE excluded.through >= traffic.through"
)


def put(file: StoreFile, points: Sequence[TrafficPoint]) -> None:
    """Write windows, all or none; one that reaches less far than the known one changes nothing."""
    if points:
        with file.writing() as writing:
            writing.executemany(_PUT, [_row(point) for point in points])


def select(file: StoreFile, query: TrafficQuery) -> list[TrafficPoint]:
    """Return the matching windows, oldest first."""
    where = Conditions()
    where.at_least("start", milliseconds(query.since))
    where.below("start", milliseconds(query.until))
    for name in ("seconds", "source", "partition", "dimension", "value"):
        where.equal(name, getattr(query, name))
    with file.reading() as reading:
        text = f"SELECT {', '.join(_COLUMNS)} FROM traffic{where} ORDER BY {', '.join(_KEY)}"
        return [_point(row) for row in reading.execute(text, where.values)]


def _row(point: TrafficPoint) -> tuple[object, ...]:
    return (milliseconds(point.start), *(getattr(point, name) for name in _COLUMNS[1:]))


def _point(row: tuple[Any, ...]) -> TrafficPoint:
    start = datetime.fromtimestamp(row[0] / 1000, UTC)
    return TrafficPoint(start=start, **dict(zip(_COLUMNS[1:], row[1:], strict=True)))
