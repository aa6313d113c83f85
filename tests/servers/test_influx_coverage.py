"""What was looked at, copied to the real InfluxDB: a window is one point for each detector, as it is now."""

from datetime import UTC, datetime, timedelta

import pytest

from txwatch.clock import SystemClock
from txwatch.coverage import WINDOW, Tally, start_of
from txwatch.ports import RetentionPolicy
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import needed_by


@pytest.fixture
def connection(influx_stores):
    influx_stores.initialise(RetentionPolicy(series=timedelta(days=30)))
    opened = Connection(influx_stores.access("operator"), SystemClock())
    yield opened
    opened.close()


def counted(connection):
    """Time, detector, evaluated and late of every point."""
    (result,) = connection.results("metrics", "SELECT evaluated, late, detector FROM coverage")
    return sorted((row[3], row[1], row[2]) for series in result.get("series", ()) for row in series["values"])


def test_a_window_that_is_written_again_replaces_itself(influx_stores, connection):
    """Operators read it; rules with odd names are told apart."""
    store = influx_stores.open(role="detector", buckets=needed_by("detector"))
    start = start_of(datetime.now(UTC)) - WINDOW
    store.put_coverage({start: {"hours": Tally(evaluated=3), "rule a, b": Tally(failed=1)}})
    store.put_coverage({start: {"hours": Tally(evaluated=5, late=1), "rule a, b": Tally(failed=1)}})

    assert counted(connection) == [("hours", 5, 1), ("rule a, b", 0, 0)]


def test_windows_older_than_the_bucket_keeps_are_left_out_and_the_others_are_there(influx_stores, connection):
    """History that is gone through does not stop the copier."""
    store = influx_stores.open(role="detector", buckets=needed_by("detector"))
    start = start_of(datetime.now(UTC)) - WINDOW
    old = start - timedelta(days=60)
    store.put_coverage({old: {"hours": Tally(evaluated=1)}, start: {"hours": Tally(evaluated=2)}})

    assert counted(connection) == [("hours", 2, 0)]
