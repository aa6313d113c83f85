"""What a collector has done since it started, as figures."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from collector.rate import Rate
from collector.source import Collected
from txwatch.model import Quarantined


class Tally:
    """Counts what was written.  `monotonic` times are seconds, wall-clock times aware."""

    def __init__(self, monotonic: float) -> None:
        self.retries = 0
        self._stored = 0
        self._rejected: Counter[str] = Counter()
        self._rate = Rate(monotonic)
        self._newest: datetime | None = None
        self._waiting: int | None = None

    def add(self, written: Collected, refused: Sequence[Quarantined], monotonic: float) -> None:
        """Count what was written; `refused` are those of its rows that the store did not take."""
        stored = written.rows.height - len(refused)
        self._stored += stored
        self._rejected.update(record.rejected.code for record in (*written.rejected, *refused))
        self._rate.add(stored + len(refused) + len(written.rejected), monotonic)
        self._waiting = written.waiting
        newest = written.rows["timestamp"].max()
        if isinstance(newest, datetime) and (self._newest is None or newest > self._newest):
            self._newest = newest

    def sentence(self) -> str:
        """Return it for people."""
        return f"{self._stored:,} stored, {self._rejected.total():,} in quarantine"

    def figures(self, now: datetime, monotonic: float) -> dict[str, float]:
        """Return it for programs: `event_lag_seconds` is how long ago the newest event was."""
        figures = {
            "transactions_total": float(self._stored),
            "quarantined_total": float(self._rejected.total()),
            "messages_per_second": self._rate.per_second(monotonic),
            "store_retries_total": float(self.retries),
        }
        figures |= {f"quarantined_{code}_total": float(count) for code, count in self._rejected.items()}
        if self._newest is not None:
            figures["event_lag_seconds"] = (now - self._newest).total_seconds()
        if self._waiting is not None:
            figures["messages_waiting"] = float(self._waiting)
        return figures
