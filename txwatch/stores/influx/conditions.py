"""Conditions of InfluxQL, with every value a quoted literal."""

import re
from collections.abc import Sequence
from datetime import datetime

from txwatch.stores.influx.points import nanoseconds
from txwatch.stores.influx.text import influxql


def between(since: datetime | None, until: datetime | None) -> list[str]:
    """Return the conditions for a half-open span of time."""
    bounds = ((">=", since), ("<", until))
    return [f"time {operator} {nanoseconds(bound)}" for operator, bound in bounds if bound is not None]


def equal(field: str, value: str | None) -> list[str]:
    """Return the condition that a field or tag has this value; None asks for nothing."""
    return [] if value is None else [f'"{field}" = {influxql(value)}']


def holds(field: str, word: str | None) -> list[str]:
    """Return the condition that a field of words, each between two spaces, has this one."""
    if word is None:
        return []
    pattern = re.escape(f" {word} ").replace("/", r"\/")
    return [f'"{field}" =~ /{pattern}/']


def where(conditions: Sequence[str]) -> str:
    """Return the clause for all of the conditions."""
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
