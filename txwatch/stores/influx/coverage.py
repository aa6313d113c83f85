"""Copies of what was looked at: measurement `coverage`, bucket `metrics`.

A point is one window of one detector (tag `detector`: what is installed, and rules that failed), its fields
the counts; it is written as it is now, so that writing it again changes nothing.  What rules in shadow hit
stands in the bucket `audit` as well: administrators see how rules do, and read no other bucket.
"""

from functools import partial

import msgspec
import polars as pl

from txwatch.coverage import SHADOW, Counted
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.layout import AUDIT, METRICS
from txwatch.stores.influx.points import nanoseconds, point
from txwatch.stores.influx.refusals import write_what_is_kept

MEASUREMENT = "coverage"


def put_coverage(connection: Connection, windows: Counted) -> None:
    """Write windows."""
    points = {
        (detector, start): point(
            MEASUREMENT, {"detector": detector}, msgspec.structs.asdict(tally), nanoseconds(start)
        )
        for start, window in windows.items()
        for detector, tally in window.items()
    }
    shadow = [line for (detector, _), line in points.items() if detector.startswith(SHADOW)]
    write_what_is_kept(partial(connection.write, METRICS), pl.Series([*points.values()], dtype=pl.String))
    if shadow:
        connection.write(AUDIT, "\n".join(shadow).encode())
