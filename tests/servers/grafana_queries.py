"""Runs a dashboard's queries as Grafana does: variables, range and interval filled in, InfluxDB asked."""

import csv
import io
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3

from grafana.alerting.rule import Rule, rule_json

ALL = ".*"
OPEN = dict.fromkeys(("severity", "type", "rule", "channel", "country", "action"), ALL) | dict.fromkeys(
    ("merchant", "user", "transaction", "anomaly", "actor", "fact"), ""
)
"""Every filter of every page, and nothing chosen or typed into any."""

PATIENCE_SECONDS = 60
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$([A-Za-z]\w*)")
_REGEX = re.compile(r"[\\^$*+?.()|\[\]{}/]")


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """Where to ask, as whom, with which variables, for which range."""

    url: str
    org: str
    token: str
    since: datetime
    until: datetime
    interval: timedelta = timedelta(hours=1)
    variables: Mapping[str, str] = {}
    """A value of `.*` is what Grafana inserts when everything is chosen."""


def rows_of(target: Mapping[str, Any], asking: Asking) -> list[dict[str, str]]:
    """Return the rows that a target of the generated JSON brings; raises AssertionError on an error."""
    if target.get("rawQuery"):
        return _influxql(_filled_influxql(target["query"], asking), asking)
    return _flux(_filled_flux(target["query"], asking), asking)


def question_of(rule: Rule, asking: Asking) -> tuple[dict[str, Any], Asking]:
    """Return an alert rule's target, and how to ask it at the end of the range: over the time it looks at."""
    (question, *_) = rule_json(rule, 1)["data"]
    since = asking.until - timedelta(seconds=question["relativeTimeRange"]["from"])
    return question["model"], msgspec.structs.replace(asking, since=since)


def _filled(text: str, variables: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name, style = found[1] or found[3], found[2] or ""
        if name not in variables:
            return found[0]
        return _formatted(variables[name], style)

    return _VARIABLE.sub(value, text)


def _formatted(value: str, style: str) -> str:
    if style == "text":
        return "All" if value == ALL else value
    if style == "json":
        return json.dumps(value)
    if style == "regex" and value != ALL:
        return _REGEX.sub(lambda found: f"\\{found[0]}", value)
    return value


def _filled_flux(text: str, asking: Asking) -> str:
    seconds = int(asking.interval.total_seconds())
    own = {
        "v.timeRangeStart": asking.since.isoformat().replace("+00:00", "Z"),
        "v.timeRangeStop": asking.until.isoformat().replace("+00:00", "Z"),
        "v.windowPeriod": f"{seconds}s",
        "$__interval_ms": str(seconds * 1000),
        "$__interval": f"{seconds}s",
    }
    filled = _filled(text, asking.variables)
    for name, inserted in own.items():
        filled = filled.replace(name, inserted)
    return filled


def _filled_influxql(text: str, asking: Asking) -> str:
    since, until = (int(t.timestamp() * 1000) for t in (asking.since, asking.until))
    filled = text.replace("$timeFilter", f"time >= {since}ms and time <= {until}ms")
    filled = filled.replace("$__interval", f"{int(asking.interval.total_seconds())}s")
    return _filled(filled, asking.variables)


def _flux(text: str, asking: Asking) -> list[dict[str, str]]:
    answer = urllib3.request(
        "POST",
        f"{asking.url}/api/v2/query?org={asking.org}",
        json={"query": text, "dialect": {"annotations": [], "header": True}},
        headers={"Authorization": f"Token {asking.token}", "Accept": "application/csv"},
        timeout=PATIENCE_SECONDS,
    )
    assert answer.status == 200, f"{answer.data.decode()}\n{text}"
    found: list[dict[str, str]] = []
    for part in answer.data.decode().replace("\r\n", "\n").split("\n\n"):
        if part.strip():
            rows = list(csv.DictReader(io.StringIO(part)))
            assert "error" not in (rows[0] if rows else {}), f"{rows}\n{text}"
            found += [{k: v for k, v in row.items() if k not in ("", "result", "table")} for row in rows]
    return found


def _influxql(text: str, asking: Asking) -> list[dict[str, str]]:
    answer = urllib3.request(
        "POST",
        f"{asking.url}/query?org={asking.org}&db=anomalies&epoch=ms",
        body=urlencode({"q": text}),
        headers={
            "Authorization": f"Token {asking.token}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
        timeout=PATIENCE_SECONDS,
    )
    assert answer.status == 200, f"{answer.data.decode()}\n{text}"
    (result,) = answer.json()["results"]
    assert "error" not in result, f"{result}\n{text}"
    return [
        dict(zip(series["columns"], row, strict=True)) | series.get("tags", {})
        for series in result.get("series", ())
        for row in series["values"]
    ]
