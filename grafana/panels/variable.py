"""Variables of a page: what people filter by, kept when they go to another page."""

from collections.abc import Sequence

import msgspec

from grafana.panels.look import Json
from grafana.panels.query import Query

EVERYTHING = "$__all"
WHATEVER = ".*"
"""What a pattern is when nothing is chosen."""


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One variable; `query` asks for its values, `values` are fixed ones, neither is free text."""

    name: str
    label: str
    help: str
    query: Query | None = None
    values: tuple[str, ...] = ()
    default: str = ""
    hidden: bool = False
    """Looked up anew on the page, of which nobody sees it."""
    carried: bool = False
    """Goes along from page to page, and nobody sees it either."""
    several: bool = True

    def json(self) -> Json:
        """Return it as Grafana has it."""
        shared = {
            "name": self.name,
            "label": self.label,
            "description": self.help,
            "hide": 2 if self.hidden or self.carried else 0,
            "skipUrlSync": self.hidden,
        }
        if self.query:
            return {**shared, **self._asked(self.query)}
        choice = bool(self.values) or (self.carried and self.several)
        return {**shared, **(self._chosen() if choice else self._typed())}

    def _asked(self, query: Query) -> Json:
        single = self.hidden or not self.several
        first = {"text": self.default, "value": self.default, "selected": True} if self.default else {}
        return {
            "type": "query",
            "datasource": query.source,
            "query": query.text,
            "definition": query.text,
            "refresh": 2,
            "sort": 0 if self.hidden else 1,
            "regex": "",
            "options": [],
            "current": first if single else _ALL,
            **(_ONE if single else _ANY),
        }

    def _chosen(self) -> Json:
        if not self.several:
            options = [
                {"text": word, "value": word, "selected": word == self.default} for word in self.values
            ]
            current = {"text": self.default, "value": self.default, "selected": True}
            fixed: Json = {"type": "custom", "query": ",".join(self.values), "multi": False}
            return {**fixed, "includeAll": False, "options": options, "current": current}
        options = [{"text": word, "value": word, "selected": False} for word in self.values]
        everything = {"text": "All", "value": EVERYTHING, "selected": True}
        asked: Json = {"type": "custom", "query": ",".join(self.values), "current": _ALL, **_ANY}
        return {**asked, "options": [everything, *options]}

    def _typed(self) -> Json:
        value = {"text": self.default, "value": self.default, "selected": True}
        return {"type": "textbox", "query": self.default, "current": value, "options": [value]}


_ONE: Json = {"multi": False, "includeAll": False}
_ANY: Json = {"multi": True, "includeAll": True, "allValue": WHATEVER}
_ALL: Json = {"text": ["All"], "value": [EVERYTHING], "selected": True}


def variables_json(variables: Sequence[Variable]) -> Json:
    """Return the page's list."""
    return {"list": [variable.json() for variable in variables]}
