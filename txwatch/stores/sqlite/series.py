"""Windows of series in SQLite: one row a (series, start)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from txwatch.ports import SeriesPoint, SeriesQuery
from txwatch.stores.sqlite.conditions import Conditions, milliseconds
from txwatch.stores.sqlite.file import StoreFile

TABLES = (
    (
        "CREATE TABLE series (series TEXT NOT NULL, start INTEGER NOT NULL, seconds INTEGER NOT NULL, "
        "value REAL NOT NULL, expected REAL, low REAL, high REAL, score REAL, "
        "PRIMARY KEY (series, start)) WITHOUT ROWID"
    ),
    "CREATE INDEX series_by_time ON series (start)",
)

_PUT = "REPLACE INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def put(file: StoreFile, points: Sequence[SeriesPoint]) -> None:
    """Write windows, all or none; a known window is replaced."""
    if points:
        with file.writing() as writing:
            writing.executemany(_PUT, [_row(point) for point in points])


def select(file: StoreFile, query: SeriesQuery) -> list[SeriesPoint]:
    """Return the matching windows, oldest first."""
    where = Conditions()
    where.equal("series", query.series)
    where.at_least("start", milliseconds(query.since))
    where.below("start", milliseconds(query.until))
    with file.reading() as reading:
        rows = reading.execute(f"SELECT * FROM series{where} ORDER BY start, series", where.values)
        return [_point(row) for row in rows.fetchall()]


def _row(p: SeriesPoint) -> tuple[object, ...]:
    return (p.series, milliseconds(p.start), p.seconds, p.value, p.expected, p.low, p.high, p.score)


def _point(
    row: tuple[str, int, int, float, float | None, float | None, float | None, float | None],
) -> SeriesPoint:
    series, start, seconds, value, expected, low, high, score = row
    return SeriesPoint(
        series=series,
        start=datetime.fromtimestamp(start / 1000, UTC),
        seconds=seconds,
        value=value,
        expected=expected,
        low=low,
        high=high,
        score=score,
    )
