"""One object for all detection: transactions, rules and series, with one state.

    findings = detection.step(rows, now)

The same rows in the same order give the same findings, wherever they are cut into batches.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
import polars as pl

from detectors.engine import Engine
from detectors.series.traffic import TrafficWatch
from txwatch.model import Anomaly
from txwatch.ports import SeriesPoint


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch brought to light."""

    anomalies: Sequence[Anomaly]
    points: Sequence[SeriesPoint]


class Detection:
    """The transaction engine and the traffic watch, stepped together."""

    def __init__(self, engine: Engine, traffic: TrafficWatch) -> None:
        self._engine = engine
        self._traffic = traffic

    def step(self, rows: pl.DataFrame, now: Callable[[], datetime]) -> Findings:
        """Score feed rows (columns FEED) and return what was found; `now` stamps the anomalies."""
        scored = self._engine.step(rows)
        points, series_anomalies = self._traffic.step(rows)
        anomalies = self._engine.anomalies(rows, scored, now())
        return Findings(anomalies=[*anomalies, *series_anomalies], points=points)
