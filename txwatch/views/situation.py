"""What is going on right now: figures collected while services run, as one value for the live view."""

import statistics
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from txwatch.model import Anomaly, Severity
from txwatch.ports import Health

HISTORY_SECONDS = 60
NEWEST = 30
LATENCIES = 2000


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the live view shows.  Histories have one entry a second, the newest last."""

    title: str
    elapsed: timedelta
    event_time: datetime | None
    transactions: int
    quarantined: int
    throughput: Sequence[float]
    """Transactions a second."""
    found: dict[str, Sequence[int]]
    """Anomalies found a second, by severity word."""
    totals: dict[str, int]
    """Anomalies so far, by severity word."""
    latency_p50: float | None
    """Seconds from arrival to the anomaly, median and 95th percentile of the latest ones."""
    latency_p95: float | None
    newest: Sequence[Anomaly]
    """The newest first."""
    health: Sequence[Health]


class Observations:
    """Collects figures; `situation` is what they say now.  Times are wall-clock, aware."""

    def __init__(self, title: str, began: datetime) -> None:
        self._title = title
        self._began = began
        self._seconds: deque[_Second] = deque(maxlen=HISTORY_SECONDS)
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._newest: deque[Anomaly] = deque(maxlen=NEWEST)
        self._totals = {severity.word: 0 for severity in Severity}
        self._event_time: datetime | None = None
        self._health: tuple[Health, ...] = ()

    def beat(self, now: datetime, health: Iterable[Health]) -> None:
        """Take what the services say of themselves; call it a few times a second."""
        self._health = tuple(health)
        second = self._second(now)
        second.transactions = self._figure("transactions_total")

    def discovered(self, now: datetime, anomaly: Anomaly) -> None:
        """Take an anomaly that was found; what late data changed of one is no other."""
        if anomaly.revision:
            return
        word = anomaly.severity.word
        self._totals[word] += 1
        self._newest.appendleft(anomaly)
        self._second(now).found[word] += 1
        self._event_time = max(self._event_time or anomaly.timestamp, anomaly.timestamp)
        if anomaly.arrived_at is not None:
            self._latencies.append((anomaly.detected_at - anomaly.arrived_at).total_seconds())

    def situation(self, now: datetime) -> Situation:
        """Return everything as one value."""
        middle, high = percentiles(self._latencies)
        return Situation(
            title=self._title,
            elapsed=now - self._began,
            event_time=self._event_time,
            transactions=int(self._figure("transactions_total")),
            quarantined=int(self._figure("quarantined_total")),
            throughput=[
                max(b.transactions - a.transactions, 0.0) / max(b.at - a.at, 1) for a, b in self._pairs()
            ],
            found={word: [second.found[word] for second in self._seconds] for word in self._totals},
            totals=dict(self._totals),
            latency_p50=middle,
            latency_p95=high,
            newest=tuple(self._newest),
            health=self._health,
        )

    def _second(self, now: datetime) -> "_Second":
        at = int((now - self._began).total_seconds())
        if not self._seconds or self._seconds[-1].at != at:
            before = self._seconds[-1].transactions if self._seconds else 0.0
            self._seconds.append(_Second(at, before, {severity.word: 0 for severity in Severity}))
        return self._seconds[-1]

    def _pairs(self) -> Iterable[tuple["_Second", "_Second"]]:
        seconds = list(self._seconds)[:-1]  # the running second is not over yet
        return pairwise(seconds)

    def _figure(self, name: str) -> float:
        """The first service that knows a figure: the collector counts what came in."""
        return next((h.figures[name] for h in self._health if name in h.figures), 0.0)


def percentiles(seconds: Sequence[float]) -> tuple[float | None, float | None]:
    """Return median and 95th percentile, None where there is nothing."""
    if not seconds:
        return None, None
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    return statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]


class _Second:
    """Figures of one second."""

    def __init__(self, at: int, transactions: float, found: dict[str, int]) -> None:
        self.at = at
        self.transactions = transactions
        self.found = found
