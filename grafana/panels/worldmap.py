"""A map of countries: a circle each, as large as there is to tell, in the colour of the worst of it.

Its outlines and the places of countries are files of Grafana itself: no tile comes from the internet.
"""

from typing import Any

from grafana.panels.look import SEVERITY_COLOURS, Json, override, rank_mapping, thresholds
from grafana.panels.panel import Panel
from grafana.panels.query import Query

OUTLINES = "public/maps/countries.geojson"
PLACES = "public/gazetteer/countries.json"
CLOSEST = 4
"""How near the map comes when all circles are in one place."""


def worldmap(
    title: str,
    help: str,  # noqa: A002 - the word of the page
    query: Query,
    *,
    country: str,
    count: str,
    rank: str,
    **place: Any,
) -> Panel:
    """Return the map; `country` (two letters), `count` and `rank` (of severity) are columns of the query."""
    options: Json = {
        "view": {"id": "fit", "allLayers": False, "layer": title, "padding": 15, "zoom": CLOSEST}
        | {"lastOnly": False, "lat": 0, "lon": 0},
        "controls": dict.fromkeys(("showAttribution", "showScale", "showMeasure", "showDebug"), False)
        | {"showZoom": True, "mouseWheelZoom": False},
        "basemap": {
            "type": "geojson",
            "name": "outlines",
            "config": {"src": OUTLINES, "rules": [], "style": {"color": {"fixed": "text"}, "opacity": 0.1}},
        },
        "layers": [_circles(title, country, count, rank)],
        "tooltip": {"mode": "details"},
    }
    return Panel(
        title=title,
        help=help,
        kind="geomap",
        queries=(query,),
        options=options,
        defaults={"color": {"mode": "thresholds"}, "thresholds": thresholds()},
        overrides=(override(rank, {"mappings": [rank_mapping()], "thresholds": _by_rank()}),),
        **place,
    )


def _circles(name: str, country: str, count: str, rank: str) -> Json:
    style = {
        "size": {"field": count, "fixed": 5, "min": 5, "max": 20},
        "color": {"field": rank, "fixed": "text"},
        "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
        "opacity": 0.7,
    }
    return {
        "type": "markers",
        "name": name,
        "tooltip": True,
        "config": {"showLegend": False, "style": style},
        "location": {"mode": "lookup", "lookup": country, "gazetteer": PLACES},
    }


def _by_rank() -> Json:
    """Return the colour of each severity from its rank on: 1 is low."""
    low, *worse = reversed(SEVERITY_COLOURS.values())
    return thresholds(*((rank, colour) for rank, colour in enumerate(worse, start=2)), start=low)
