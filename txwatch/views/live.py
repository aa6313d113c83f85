"""The live terminal view: one calm screen, from a `Situation` and a size to something rich can draw."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from txwatch.model import Anomaly
from txwatch.ports import Health
from txwatch.views.palette import SEVERITY, STATE
from txwatch.views.situation import Situation

BARS = " ▁▂▃▄▅▆▇█"
FIXED_LINES = 14
"""Lines that everything but the list of anomalies takes."""


def render(situation: Situation, width: int, height: int) -> RenderableType:
    """Return the whole screen for a terminal of this size."""
    half = max(16, width // 2 - 21)
    upper = Table.grid(expand=True, padding=(0, 1))
    upper.add_column(ratio=1)
    upper.add_column(ratio=1)
    upper.add_row(_traffic(situation, half), _severities(situation, half))
    return Group(
        _headline(situation),
        upper,
        _health(situation.health),
        _newest(situation.newest, width, max(1, height - FIXED_LINES - len(situation.health))),
    )


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the newest values as bars of eighths, scaled to their largest."""
    shown = list(values)[-width:]
    top = max(shown, default=0) or 1
    return "".join(BARS[min(8, round(8 * value / top))] for value in shown).rjust(width)


def _headline(s: Situation) -> Text:
    minutes, seconds = divmod(int(s.elapsed.total_seconds()), 60)
    when = s.event_time.strftime("%a %Y-%m-%d %H:%M") if s.event_time else "waiting for data"
    text = Text(f" {s.title} ", style="bold reverse")
    text.append(f"  running {minutes}:{seconds:02}   event time {when}", style="default")
    return text


def _traffic(s: Situation, width: int) -> Panel:
    now = s.throughput[-1] if s.throughput else 0.0
    latency = "-" if s.latency_p50 is None else f"{_time(s.latency_p50)} / {_time(s.latency_p95)}"
    grid = _facts()
    grid.add_row("transactions", f"[b]{s.transactions:,}[/b]  now {now:,.0f}/s")
    grid.add_row("", Text(sparkline(s.throughput, width), style="cyan"))
    grid.add_row("quarantine", f"{s.quarantined:,}")
    grid.add_row("to anomaly", f"[b]{latency}[/b]  p50 / p95 from arrival")
    return Panel(grid, title="traffic", title_align="left", border_style="dim")


def _severities(s: Situation, width: int) -> Panel:
    grid = _facts()
    for word in reversed(SEVERITY):
        bars = Text(sparkline(s.found.get(word, ()), max(10, width - 8)), style=SEVERITY[word])
        count = Text(f"{s.totals.get(word, 0):>6,} ", style=f"bold {SEVERITY[word]}")
        grid.add_row(Text(word, style=SEVERITY[word]), count + bars)
    return Panel(grid, title="anomalies", title_align="left", border_style="dim")


def _health(services: Sequence[Health]) -> Table:
    grid = Table.grid(padding=(0, 1))
    for h in services:
        grid.add_row(Text(" ●", style=STATE.get(h.state, "red")), Text(h.name), Text(h.sentence, style="dim"))
    return grid


def _newest(anomalies: Sequence[Anomaly], width: int, count: int) -> Table:
    table = Table(expand=True, box=None, padding=(0, 1), header_style="dim", show_edge=False)
    table.add_column("time", no_wrap=True, width=11)
    table.add_column("severity", no_wrap=True, width=8)
    table.add_column("score", justify="right", width=5)
    table.add_column("who", no_wrap=True, width=18)
    table.add_column("why", no_wrap=True, overflow="ellipsis", ratio=1)
    for anomaly in list(anomalies)[:count]:
        table.add_row(
            anomaly.timestamp.strftime("%m-%d %H:%M"),
            Text(anomaly.severity.word, style=SEVERITY[anomaly.severity.word]),
            f"{anomaly.score:.0f}",
            f"{anomaly.entity_kind} {anomaly.entity_id}",
            anomaly.reasons[0].sentence if anomaly.reasons else anomaly.type.value,
        )
    del width  # the table takes what there is
    return table


def _facts() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    return grid


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
