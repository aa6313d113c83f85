"""A backtest as one self-contained HTML page: curves as inline SVG, no script, no network."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

import numpy as np

from detectors.backtest.figures import Figures, Judged, at_budget
from detectors.backtest.measures import precision_and_recall
from detectors.backtest.told import number, spread, verdicts
from detectors.offline import Output

TEMPLATE: Final = Path(__file__).with_name("backtest.html")
_COLOURS: Final = ("#2563a8", "#c2571a", "#4b8b3b", "#8a4fa3")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 520, 268, 46, 38
_POINTS: Final = 300
_BUDGETS: Final = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300)

Curve = tuple[Sequence[float], Sequence[float]]


class Page(Output):
    """An HTML file that appears only when it is whole; a full disk or missing folder is a StoreError."""

    def write(self, text: str) -> None:
        """Write the page."""
        self._write(text.encode())


def page(title: str, figures: Sequence[Figures], judged: Sequence[Judged]) -> str:
    """Return the page of contenders, the champion first, from their figures and counted rows."""
    legend = " ".join(
        f'<span><i style="background:{_colour(k)}"></i>{escape(one.name)}</span>'
        for k, one in enumerate(figures)
    )
    charts = (
        _chart("Precision over recall", "recall", [_precision_curve(one) for one in judged], 1.0, 1.0),
        _chart(
            "Recall over alerts a day",
            "alerts a day",
            [_budget_curve(one) for one in judged],
            float(_BUDGETS[-1]),
            1.0,
        ),
        _chart(
            "Alerts by day, own threshold", "day", [_daily(one) for one in figures], *_daily_limits(figures)
        ),
    )
    tables = "".join(_tables(one) for one in figures)
    against = "".join(f"<p>{escape(verdict)}</p>" for verdict in verdicts(figures))
    body = f"<h1>{escape(title)}</h1>{_summary(figures)}{against}<p class=legend>{legend}</p>"
    return TEMPLATE.read_text().replace(
        "<!--BODY-->", f"{body}<div class=row>{''.join(charts)}</div>{tables}"
    )


def _colour(k: int) -> str:
    return _COLOURS[k % len(_COLOURS)]


def _precision_curve(one: Judged) -> Curve:
    precision, recall = precision_and_recall(one.score[one.counts], one.is_fraud[one.counts])
    picked = np.searchsorted(recall, np.linspace(recall[0], recall[-1], _POINTS))
    return recall[picked].tolist(), precision[picked].tolist()


def _budget_curve(one: Judged) -> Curve:
    return _BUDGETS, [at_budget(one, budget).recall or 0.0 for budget in _BUDGETS]


def _daily(one: Figures) -> Curve:
    return list(range(one.days)), one.alerts_by_day


def _daily_limits(figures: Sequence[Figures]) -> tuple[float, float]:
    return max(figures[0].days - 1.0, 1.0), max(1.0, *(max(one.alerts_by_day) for one in figures))


def _chart(title: str, below: str, curves: Sequence[Curve], x_most: float, y_most: float) -> str:
    wide, high = _WIDTH - _LEFT - 12, _HEIGHT - _BOTTOM - 10

    def at(x: float, y: float) -> str:
        return f"{_LEFT + wide * x / x_most:.1f},{10 + high * (1 - y / y_most):.1f}"

    lines = "".join(
        f'<polyline points="{" ".join(at(x, y) for x, y in zip(*curve, strict=True))}" '
        f'stroke="{_colour(k)}"/>'
        for k, curve in enumerate(curves)
    )
    grid = "".join(
        f'<path d="M{at(0, y_most * part)} L{at(x_most, y_most * part)}"/>'
        f'<text x="{_LEFT - 6}" y="{14 + high * (1 - part):.0f}" class="end">{y_most * part:g}</text>'
        f'<text x="{_LEFT + wide * part:.0f}" y="{_HEIGHT - 20}" class="middle">{x_most * part:g}</text>'
        for part in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    return (
        f'<figure><figcaption>{title}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{title}">{grid}{lines}<text x="{_WIDTH / 2}" y="{_HEIGHT - 5}" class="middle">'
        f"{below}</text></svg></figure>"
    )


def _summary(figures: Sequence[Figures]) -> str:
    rows = [
        (
            one.name,
            f"{number(one.average_precision)} ({spread(one)})",
            number(one.alerts_a_day, 1),
            number(one.own.precision),
            number(one.recall),
            "-" if one.delay is None else f"{one.delay.found} of {one.delay.episodes}",
            "-" if one.delay is None else number(one.delay.median_hours, 1),
        )
        for one in figures
    ]
    head = ("", "average precision", "alerts a day", "precision", "recall", "episodes", "median delay, hours")
    return _table("", head, rows)


def _tables(one: Figures) -> str:
    budgets = [
        (str(at.budget), number(at.precision), number(at.recall), number(at.episode_recall))
        for at in one.budgets
    ]
    parts = [
        _table("At a budget", ("alerts a day", "precision", "recall", "episodes"), budgets),
        *(
            _table(
                name,
                ("", "alerts", "right", "left out", "precision"),
                [
                    (p.name, f"{p.alerts:,}", f"{p.right:,}", f"{p.left_out:,}", number(p.precision))
                    for p in found
                ],
            )
            for name, found in (("By severity", one.by_severity), ("By largest hypothesis", one.by_detector))
        ),
        _table(
            "Probability said, and what came true",
            ("", "payments", "said", "came true"),
            [
                (f"{b.low:g} to {b.high:g}", f"{b.payments:,}", number(b.said), number(b.was))
                for b in one.reliability
            ],
        ),
        _table(
            "Each detector left out",
            ("without", "average precision", "episodes"),
            [(w.detector, number(w.average_precision), number(w.episode_recall)) for w in one.without],
        ),
    ]
    return f"<h2>{escape(one.name)}</h2><div class=row>{''.join(parts)}</div>"


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<section><h3>{title}</h3><table><tr>{names}</tr>{cells}</table></section>"
