"""A query of a panel: its text, its language, and the columns that it returns."""

from typing import Any, Literal

import msgspec

Json = dict[str, Any]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One query; `columns` are those that every row has, which the tests hold it to.

    `shape` is for InfluxQL, whose answer Grafana takes as a table or as one series for each group.
    """

    text: str
    columns: tuple[str, ...]
    language: Literal["flux", "influxql"] = "flux"
    shape: Literal["table", "time_series"] = "table"
    alias: str = ""
    uid: str
    """Of the data source that is asked."""

    @property
    def source(self) -> Json:
        """The data source as Grafana names it."""
        return {"type": "influxdb", "uid": self.uid}

    def json(self, ref: str) -> Json:
        """Return the target `ref` of a panel."""
        target: Json = {"refId": ref, "datasource": self.source, "query": self.text}
        if self.language == "influxql":
            target |= {"rawQuery": True, "resultFormat": self.shape, "alias": self.alias}
        return target
