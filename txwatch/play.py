"""The demo: services run while a person watches; afterwards a report says what was found.

Knows services, stores and views only; the command line hands the rooms in.
"""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec
import polars as pl
from rich.console import Console
from rich.live import Live
from rich.table import Table

from txwatch.ledger import Ledger
from txwatch.model import Anomaly
from txwatch.ports import AnomalyQuery, Clock, SeriesQuery, Service, Store
from txwatch.supervise import Observer, StopRequest
from txwatch.views.live import render
from txwatch.views.report import DetectionFigures, KindFigures, ReportData
from txwatch.views.situation import Observations, Situation

REFRESH_SECONDS = 0.25
PLAIN_SECONDS = 5.0
QUEUE_BATCH = 1000
ALL_TRAFFIC = "count/all"
"""The series of all transactions a window."""


class Watcher:
    """Called after every round of services: collects figures and shows them a few times a second."""

    def __init__(
        self,
        title: str,
        services: Sequence[Service],
        ledger: Ledger,
        clock: Clock,
        show: Callable[[Situation], None],
    ) -> None:
        self.observations = Observations(title, clock.now())
        self._services = services
        self._ledger = ledger
        self._clock = clock
        self._show = show
        self._number = 0
        self._last = clock.now() - timedelta(days=1)

    def __call__(self) -> None:
        """Refresh, if it is time to."""
        now = self._clock.now()
        if (now - self._last).total_seconds() >= REFRESH_SECONDS:
            self._last = now
            self.refresh(now)

    def refresh(self, now: datetime) -> None:
        """Collect what is new and show it."""
        for entry in self._ledger.discovered(self._number, QUEUE_BATCH):
            self._number = entry.number
            self.observations.discovered(now, msgspec.json.decode(entry.document, type=Anomaly))
        self.observations.beat(now, (service.health() for service in self._services))
        self._show(self.observations.situation(now))


class PlainView:
    """Plain lines where there is no terminal: a status line every few seconds, a line an urgent anomaly."""

    def __init__(self) -> None:
        self._shown: set[str] = set()
        self._next = timedelta(0)

    def __call__(self, s: Situation) -> None:
        """Print what is new."""
        for anomaly in reversed(s.newest):
            if anomaly.severity.word in {"high", "critical"} and anomaly.anomaly_id not in self._shown:
                self._shown.add(anomaly.anomaly_id)
                why = anomaly.reasons[0].sentence if anomaly.reasons else anomaly.type.value
                self._print(f"{anomaly.severity.word:8} {anomaly.timestamp:%Y-%m-%d %H:%M} {why}")
        if s.elapsed >= self._next:
            self._next = s.elapsed + timedelta(seconds=PLAIN_SECONDS)
            found = ", ".join(f"{count} {word}" for word, count in s.totals.items())
            latency = (
                ""
                if s.latency_p95 is None
                else f", p95 {s.latency_p95 * 1000:.0f} ms from arrival to anomaly"
            )
            self._print(f"{s.transactions:,} transactions; anomalies: {found}{latency}")

    def _print(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class ScreenView:
    """A full screen that is drawn anew a few times a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.live = Live(console=console, screen=True, auto_refresh=False, transient=True)

    def __call__(self, s: Situation) -> None:
        """Draw it."""
        size = self._console.size
        self.live.update(render(s, size.width, size.height), refresh=True)


class Deadline:
    """Asks for a stop when its time has come."""

    def __init__(self, stop: StopRequest, clock: Clock, seconds: float | None) -> None:
        self._stop = stop
        self._clock = clock
        self._at = None if seconds is None else clock.now() + timedelta(seconds=seconds)

    def __call__(self) -> None:
        """Ask, if it is time to."""
        if self._at is not None and self._clock.now() >= self._at:
            self._stop.ask("the time is up")


def each(*observers: Observer) -> Observer:
    """Return an observer that calls each of several in turn."""

    def observe() -> None:
        for observer in observers:
            observer()

    return observe


def print_figures(console: Console, figures: DetectionFigures) -> None:
    """Print what was found against the labels, a line a kind of fraud."""
    table = Table(box=None, padding=(0, 2), header_style="dim", title_justify="left")
    for name in ("fraud", "episodes", "found", "median delay"):
        table.add_column(name, justify="left" if name == "fraud" else "right")
    for kind in figures.kinds:
        delay = kind.median_delay_seconds
        after = "" if delay is None else str(timedelta(seconds=round(delay)))
        table.add_row(kind.kind.replace("_", " "), str(kind.episodes), str(kind.found), after)
    console.print(table)
    console.print(
        f"{figures.anomalies:,} anomalies, {figures.anomalies / figures.days:.0f} a day of event time; "
        f"{figures.true:,} of them lie in a labelled episode"
    )


def report_data(title: str, store: Store, clock: Clock, figures: DetectionFigures | None) -> ReportData:
    """Return everything in a store as the data of a report."""
    counts = store.counts()
    return ReportData(
        title=title,
        made_at=clock.now(),
        transactions=counts["transactions"],
        quarantined=counts["quarantine"],
        anomalies=store.anomalies(AnomalyQuery(limit=None)),
        traffic=store.series(SeriesQuery(series=ALL_TRAFFIC)),
        figures=figures,
    )


def compare(
    anomalies: Sequence[Anomaly], labels: pl.DataFrame, episodes: pl.DataFrame, until: datetime
) -> DetectionFigures:
    """Compare anomalies with a simulation's labels.

    An episode is found when one of its transactions is an anomaly, or, for one that is about a merchant,
    when a series of that merchant is one between the episode's start and two hours after its end.
    """
    begun = episodes.filter(pl.col("start") <= until)
    by_transaction = {a.transaction_id: a for a in anomalies if a.transaction_id is not None}
    hits = [
        (episode, by_transaction[transaction].timestamp)
        for transaction, episode in labels.select("transaction_id", "episode").iter_rows()
        if transaction in by_transaction
    ]
    in_series = _by_series(anomalies, begun)
    first: dict[int, datetime] = {}
    for episode, at in [*hits, *in_series]:
        first[episode] = min(at, first.get(episode, at))
    since = min((a.timestamp for a in anomalies), default=until)
    return DetectionFigures(
        kinds=[
            _kind(name, part, first)
            for (name,), part in begun.sort("kind").group_by("kind", maintain_order=True)
        ],
        anomalies=len(anomalies),
        true=len(hits) + len(in_series),
        days=max((until - since).total_seconds() / 86_400, 0.01),
    )


def _kind(name: object, episodes: pl.DataFrame, first: dict[int, datetime]) -> KindFigures:
    delays = [
        max((first[number] - start).total_seconds(), 0.0)
        for number, start in episodes.select("episode", "start").iter_rows()
        if number in first
    ]
    return KindFigures(
        kind=str(name),
        episodes=episodes.height,
        found=len(delays),
        median_delay_seconds=float(pl.Series(delays).median()) if delays else None,  # type: ignore[arg-type]  # a median of floats is a float
    )


def _by_series(anomalies: Sequence[Anomaly], episodes: pl.DataFrame) -> list[tuple[int, datetime]]:
    about = episodes.filter(pl.col("entity_kind") == "merchant").select(
        "episode", "entity_id", "start", "end"
    )
    return [
        (episode, a.timestamp)
        for a in anomalies
        if a.kind == "series" and a.entity_kind == "merchant"
        for episode, entity, start, end in about.iter_rows()
        if entity == a.entity_id and start - timedelta(hours=1) <= a.timestamp <= end + timedelta(hours=2)
    ]
