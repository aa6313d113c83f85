"""A page: panels set out from the left to the right and from the top down, variables, annotations, links."""

from collections.abc import Sequence

import msgspec

from grafana.panels.look import Json
from grafana.panels.panel import Panel
from grafana.panels.query import Query
from grafana.panels.variable import Variable, variables_json

SCHEMA = 37
"""Of Grafana 9.3; later releases bring it up to theirs when they load it."""

PAGE_WIDTH = 24
TAG = "txwatch"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A heading over panels."""

    title: str
    panels: tuple[Panel, ...]


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """Marks over all panels; the query returns `time`, `title`, `text`."""

    name: str
    query: Query
    colour: str

    def json(self) -> Json:
        """Return it as Grafana has it."""
        return {
            "name": self.name,
            "datasource": self.query.source,
            "enable": True,
            "hide": False,
            "iconColor": self.colour,
            "target": self.query.json("Anno"),
        }


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One dashboard: `uid` is part of its address and never changes."""

    uid: str
    title: str
    help: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    since: str = "now-24h"
    refresh: str = "30s"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, from the top down."""
        return tuple(panel for row in self.rows for panel in row.panels)

    def json(self) -> Json:
        """Return it as Grafana has it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.help,
            "tags": [TAG],
            "schemaVersion": SCHEMA,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": self.since, "to": "now"},
            "refresh": self.refresh,
            "templating": variables_json(self.variables),
            "annotations": {"list": [each.json() for each in self.annotations]},
            "links": [_to_the_others()],
            "panels": _set_out(self.rows),
        }


def _to_the_others() -> Json:
    """Return the menu of pages, which keeps time and filters."""
    return {
        "type": "dashboards",
        "title": "Pages",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def _set_out(rows: Sequence[Row]) -> list[Json]:
    made: list[Json] = []
    top = 0
    for row in rows:
        if row.title:
            heading = {"x": 0, "y": top, "w": PAGE_WIDTH, "h": 1}
            made.append(_heading(len(made) + 1, row.title, heading))
            top += 1
        left = height = 0
        for panel in row.panels:
            if left + panel.width > PAGE_WIDTH:
                top, left, height = top + height, 0, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            made.append(panel.json(len(made) + 1, place))
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return made


def _heading(number: int, title: str, place: Json) -> Json:
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
