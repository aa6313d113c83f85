"""Conditions of InfluxQL, with every value a quoted literal."""

import re
from collections.abc import Sequence
from datetime import datetime

from txwatch.stores.influx.points import nanoseconds
from txwatch.stores.influx.text import influxql

_CONTROL = re.compile(r"[\x00-\x1f]")
"""What InfluxQL's text literals cannot hold; its patterns can."""


def between(since: datetime | None, until: datetime | None) -> list[str]:
    """Return the conditions for a half-open span of time."""
    bounds = ((">=", since), ("<", until))
    return [f"time {operator} {nanoseconds(bound)}" for operator, bound in bounds if bound is not None]


def other_than(field: str, value: str | None) -> list[str]:
    """Return the condition that a field or tag has another value; None asks for nothing."""
    return [] if value is None else [f'"{field}" <> {influxql(value)}']


def equal(field: str, value: str | None) -> list[str]:
    """Return the condition that a field or tag has this value; None asks for nothing."""
    if value is None:
        return []
    if _CONTROL.search(value):
        return [f'"{field}" =~ /^{_pattern(value)}$/']
    return [f'"{field}" = {influxql(value)}']


def holds(field: str, word: str | None) -> list[str]:
    """Return the condition that a field of words, each between two spaces, has this one."""
    if word is None:
        return []
    return [f'"{field}" =~ /{_pattern(f" {word} ")}/']


def where(conditions: Sequence[str]) -> str:
    """Return the clause for all of the conditions."""
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _pattern(value: str) -> str:
    """Return a pattern for exactly this text, in the syntax of Go's regexp between two slashes."""
    safe = re.escape(value).replace("/", r"\/")
    return re.sub(r"\\?([\x00-\x1f])", lambda found: f"\\x{ord(found[1]):02x}", safe)
