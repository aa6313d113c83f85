"""Event time to the wall clock of a place, so that a season keeps its hours through a clock change."""

import numpy as np
import polars as pl

from detectors.series.method import Times


def local_ms(times_ms: Times, zone: str) -> Times:
    """Return what a clock in `zone` shows, in milliseconds since 1970 on that clock, shape (n,).

    On the day the clocks go back an hour is seen twice; on the day they go forward one is missing.
    """
    if zone == "UTC":
        return times_ms
    utc = pl.Series(times_ms).cast(pl.Datetime("ms", "UTC"))
    wall = utc.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return np.asarray(wall.cast(pl.Int64).to_numpy())
