"""Copies of what was looked at: measurement `coverage`, bucket `metrics`.

A point is one window of one detector (tag `detector`: what is installed, and rules that failed), its fields
the counts; it is written as it is now, so that writing it again changes nothing.
"""

from functools import partial

import msgspec
import polars as pl

from txwatch.coverage import Counted
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import METRICS
from txwatch.stores.influx.points import nanoseconds, point
from txwatch.stores.influx.refusals import write_what_is_kept

MEASUREMENT = "coverage"


def put_coverage(connection: Connection, windows: Counted) -> None:
    """Write windows."""
    lines = [
        point(MEASUREMENT, {"detector": detector}, msgspec.structs.asdict(tally), nanoseconds(start))
        for start, window in windows.items()
        for detector, tally in window.items()
    ]
    write_what_is_kept(partial(connection.write, METRICS), pl.Series(lines, dtype=pl.String))
