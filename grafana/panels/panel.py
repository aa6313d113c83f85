"""Panels by what they are for: a number, a course over time, a table, bars, a heat map, a text."""

from collections.abc import Sequence
from typing import Any

import msgspec

from grafana.panels.look import CALM, Column, Json, Link, arranged, thresholds
from grafana.panels.query import Query

NOTHING = "-"
"""Where there is no value, or no row at all."""

MIXED = {"type": "datasource", "uid": "-- Mixed --"}


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One panel; `help` says what is healthy here, `width` is in 24ths of the page."""

    title: str
    help: str
    kind: str
    queries: tuple[Query, ...] = ()
    width: int = 12
    height: int = 8
    options: Json = {}
    defaults: Json = {}
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()
    interval: str | None = None
    rows: int | None = None
    """The most rows that Grafana is to take, where it would cut a table."""
    repeat: str | None = None

    def json(self, number: int, place: Json) -> Json:
        """Return the panel as Grafana has it."""
        made: Json = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.help,
            "gridPos": place,
            "options": self.options,
            "fieldConfig": {"defaults": self.defaults, "overrides": list(self.overrides)},
            "transformations": list(self.transformations),
            "targets": [query.json(_ref(place)) for place, query in enumerate(self.queries)],
        }
        if self.queries:
            made["datasource"] = self._source()
        if self.interval:
            made["interval"] = self.interval
        if self.rows:
            made["maxDataPoints"] = self.rows
        return made

    def _source(self) -> Json:
        """Return the data source of all queries, or the one that stands for several."""
        one = len({query.uid for query in self.queries}) == 1
        return self.queries[0].source if one else MIXED


def number(
    title: str,
    help: str,  # noqa: A002 - the word of the page
    *queries: Query,
    unit: str = "short",
    steps: Sequence[tuple[float, str]] = (),
    overrides: Sequence[Json] = (),
    name: str = "",
    fields: str = "",
    links: Sequence[Link] = (),
    decimals: int | None = None,
    start: str = CALM,
    order: Sequence[str] = (),
    **place: Any,
) -> Panel:
    """Return a panel of large numbers: `steps` colour them, `fields` and `order` say which are shown."""
    defaults: Json = {
        "unit": unit,
        "noValue": "-",
        "thresholds": thresholds(*steps, start=start),
        "color": {"mode": "thresholds"},
        "links": [link.json() for link in links],
    }
    if name:
        defaults["displayName"] = name
    if decimals is not None:
        defaults["decimals"] = decimals
    return Panel(
        title=title,
        help=help,
        kind="stat",
        queries=queries,
        options=_NUMBER_OPTIONS | {"reduceOptions": _last(fields)},
        defaults=defaults,
        overrides=tuple(overrides),
        transformations=tuple(arranged([Column(name=each) for each in order])) if order else (),
        **{"width": 4, "height": 4, **place},
    )


def course(
    title: str,
    help: str,  # noqa: A002 - the word of the page
    *queries: Query,
    unit: str = "short",
    name: str = "",
    draw: str = "line",
    stack: bool = False,
    points: str = "never",
    fill: int = 10,
    steps: Sequence[tuple[float, str]] = (),
    start: str = CALM,
    overrides: Sequence[Json] = (),
    log: bool = False,
    links: Sequence[Link] = (),
    **place: Any,
) -> Panel:
    """Return a panel of values over time; `steps` draw lines where a person should look.

    With a `start` that is not calm, little is what a person should look at: what is drawn has the colours.
    """
    low = start != CALM
    custom = _drawn(draw, points, fill, stack=stack, marked=bool(steps) and not low, log=log)
    defaults: Json = {
        "unit": unit,
        "custom": custom | ({"gradientMode": "scheme"} if low else {}),
        "color": {"mode": "thresholds" if low else "palette-classic"},
        "thresholds": thresholds(*steps, start=start),
        "links": [link.json() for link in links],
    }
    if not log:
        defaults["min"] = 0
    if name:
        defaults["displayName"] = name
    return Panel(
        title=title,
        help=help,
        kind="timeseries",
        queries=queries,
        options=_COURSE_OPTIONS,
        defaults=defaults,
        overrides=tuple(overrides),
        **place,
    )


def table(
    title: str,
    help: str,  # noqa: A002 - the word of the page
    query: Query,
    columns: Sequence[Column],
    *,
    rows: int = 2_000,
    first: Sequence[Json] = (),
    **place: Any,
) -> Panel:
    """Return a panel of rows; `columns` in their order, all of them in the query's answer.

    `first` are transformations before columns are arranged: then columns are those that these bring.
    """
    defaults: Json = {
        "custom": {"align": "auto", "displayMode": "auto", "filterable": False},
        "noValue": NOTHING,
        "color": {"mode": "fixed", "fixedColor": "text"},
        "thresholds": thresholds(),
    }
    return Panel(
        title=title,
        help=help,
        kind="table",
        queries=(query,),
        options={"showHeader": True, "footer": {"show": False}},
        defaults=defaults,
        overrides=tuple(column.override() for column in columns),
        transformations=(*first, *arranged(columns)),
        rows=rows,
        **place,
    )


def bars(
    title: str,
    help: str,  # noqa: A002 - the word of the page
    query: Query,
    *,
    category: str,
    unit: str = "short",
    stack: bool = False,
    overrides: Sequence[Json] = (),
    lying: bool = False,
    order: Sequence[str] = (),
    **place: Any,
) -> Panel:
    """Return a panel of bars, one for each `category` (a column of words) and number beside it.

    `order` is that of the columns, and so from which end parts of a bar are stacked.
    """
    options = {
        "orientation": "horizontal" if lying else "vertical",
        "xField": category,
        "stacking": "normal" if stack else "none",
        "showValue": "never",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": stack, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    defaults: Json = {
        "unit": unit,
        "color": {"mode": "palette-classic"} if stack else {"mode": "fixed", "fixedColor": CALM},
        "custom": {"fillOpacity": 80, "lineWidth": 0},
        "thresholds": thresholds(),
    }
    return Panel(
        title=title,
        help=help,
        kind="barchart",
        queries=(query,),
        options=options,
        defaults=defaults,
        overrides=tuple(overrides),
        transformations=tuple(arranged([Column(name=each) for each in order])) if order else (),
        **place,
    )


def density(title: str, help: str, query: Query, **place: Any) -> Panel:  # noqa: A002 - the word of the page
    """Return a heat map of values over time: the brighter, the more."""
    options = {
        "calculate": True,
        "calculation": {"yBuckets": {"mode": "count", "value": "10"}},
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 32, "reverse": False, "exponent": 0.5},
        "cellGap": 1,
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "tooltip": {"show": True, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False},
        "rowsFrame": {"layout": "auto"},
    }
    return Panel(title=title, help=help, kind="heatmap", queries=(query,), options=options, **place)


def words(title: str, help: str, markdown: str, **place: Any) -> Panel:  # noqa: A002 - the word of the page
    """Return a panel of text."""
    options = {"mode": "markdown", "content": markdown}
    return Panel(title=title, help=help, kind="text", options=options, **place)


_NUMBER_OPTIONS: Json = {
    "colorMode": "value",
    "graphMode": "none",
    "textMode": "auto",
    "text": {"valueSize": 40},
}
_COURSE_OPTIONS: Json = {
    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
    "tooltip": {"mode": "multi", "sort": "desc"},
}


def _last(fields: str) -> Json:
    return {"calcs": ["lastNotNull"], "fields": fields, "values": False}


def _drawn(draw: str, points: str, fill: int, *, stack: bool, marked: bool, log: bool) -> Json:
    return {
        "drawStyle": draw,
        "fillOpacity": 80 if draw == "bars" else fill,
        "lineWidth": 1,
        "showPoints": points,
        "pointSize": 6,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if marked else "off"},
        "spanNulls": False,
        "scaleDistribution": {"type": "log", "log": 10} if log else {"type": "linear"},
    }


def _ref(place: int) -> str:
    return chr(ord("A") + place)
