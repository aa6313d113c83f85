"""How values look: units, colours of severities, thresholds, columns of tables, links."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Json = dict[str, Any]

SEVERITY_COLOURS = {"critical": "#c4162a", "high": "#ff780a", "medium": "#f2cc0c", "low": "#8ab8ff"}
"""From the most to the least urgent; told apart by their lightness too."""

CALM = "green"
WATCH = "yellow"
ACT = "red"

UNDRAWN: Json = {"custom.lineWidth": 0, "custom.showPoints": "never"}
"""The edges of a band, of which only the area between is seen."""

STATES: Json = {
    "type": "value",
    "options": {
        "0": {"text": "ok", "color": CALM, "index": 0},
        "1": {"text": "degraded", "color": WATCH, "index": 1},
        "2": {"text": "failed", "color": ACT, "index": 2},
    },
}
"""What `health` says as a number (`docs/metrics.md`)."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link from a value: where to, in Grafana's own words for values and variables."""

    title: str
    url: str

    def json(self) -> Json:
        """Return it as Grafana has it."""
        return {"title": self.title, "url": self.url}


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a table: its name in the answer, its heading, and how its values look."""

    name: str
    title: str = ""
    unit: str | None = None
    decimals: int | None = None
    width: int | None = None
    cell: str | None = None
    """color-text, color-background, lcd-gauge, ..."""
    link: Link | None = None
    severity: bool = False
    rank: bool = False
    """A number that stands for a severity."""
    hidden: bool = False
    """There for links only."""
    state: bool = False
    """A word that says how a service is."""
    steps: tuple[tuple[float, str], ...] = ()
    """Thresholds that colour the cell."""
    unsaid: float | None = None
    """The number that stands for no value, shown as a dash."""
    most: float | None = None
    """The end of a gauge's scale."""

    def override(self) -> Json:
        """Return what is particular about the column."""
        plain = {
            "unit": self.unit,
            "decimals": self.decimals,
            "custom.width": self.width,
            "custom.displayMode": self.cell,
            "custom.hidden": self.hidden or None,
            "color": {"mode": "fixed", "fixedColor": "blue"} if self.cell and "gauge" in self.cell else None,
            "links": [self.link.json()] if self.link else None,
            "max": self.most,
            "min": 0 if self.cell and "gauge" in self.cell else None,
        }
        if self.unsaid is not None:
            nothing = {str(self.unsaid): {"text": "-", "color": "text", "index": 0}}
            plain["mappings"] = [{"type": "value", "options": nothing}]
        given = {key: value for key, value in plain.items() if value is not None}
        return override(self.title or self.name, given | self._coloured())

    def _coloured(self) -> Json:
        if self.severity:
            return {"custom.displayMode": "color-text", "mappings": [severity_mapping()]}
        if self.rank:
            return {"custom.displayMode": "color-text", "mappings": [rank_mapping()]}
        if self.state:
            return {"custom.displayMode": "color-background", "mappings": [STATES]}
        if self.steps:
            return {"thresholds": thresholds(*self.steps), "color": {"mode": "thresholds"}}
        return {}


def override(name: str, properties: Mapping[str, Any]) -> Json:
    """Return an override of one field, by its shown name."""
    values = [{"id": key, "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": values}


def named_frame(ref: str, name: str, properties: Mapping[str, Any]) -> Json:
    """Return an override of what the query `ref` brings, with the name to show."""
    made = override(name, {"displayName": name, **properties})
    return made | {"matcher": {"id": "byFrameRefID", "options": ref}}


def severity_mapping() -> Json:
    """Return what colours the words of severities."""
    options = {
        word: {"color": colour, "index": place}
        for place, (word, colour) in enumerate(SEVERITY_COLOURS.items())
    }
    return {"type": "value", "options": options}


def severity_overrides() -> list[Json]:
    """Return the colours of series that are named by severities."""
    return [
        override(word, {"color": {"mode": "fixed", "fixedColor": colour}})
        for word, colour in SEVERITY_COLOURS.items()
    ]


def rank_mapping() -> Json:
    """Return what shows ranks of severities (4 is critical) as their words."""
    ranks = range(len(SEVERITY_COLOURS), 0, -1)
    options = {
        str(rank): {"text": word, "color": colour, "index": len(SEVERITY_COLOURS) - rank}
        for rank, (word, colour) in zip(ranks, SEVERITY_COLOURS.items(), strict=True)
    }
    return {"type": "value", "options": options}


def named_by_severity() -> list[Json]:
    """Return the colours and names of series that are told apart by a label with the severity."""
    return [
        {
            "matcher": {"id": "byRegexp", "options": f"/{word}/"},
            "properties": [
                {"id": "displayName", "value": word},
                {"id": "color", "value": {"mode": "fixed", "fixedColor": colour}},
            ],
        }
        for word, colour in SEVERITY_COLOURS.items()
    ]


def thresholds(*steps: tuple[float, str], start: str = CALM) -> Json:
    """Return thresholds: the colour below the first step, then the colour from each value on."""
    first: list[Json] = [{"color": start, "value": None}]
    return {
        "mode": "absolute",
        "steps": first + [{"color": colour, "value": value} for value, colour in steps],
    }


def arranged(columns: Sequence[Column]) -> list[Json]:
    """Return the transformation that orders and titles the columns of a table."""
    options = {
        "excludeByName": {},
        "indexByName": {column.name: place for place, column in enumerate(columns)},
        "renameByName": {column.name: column.title for column in columns if column.title},
    }
    return [{"id": "organize", "options": options}]
