"""A refused write resolved to the single points that are to blame.

The server names at most one of the points that it refuses, so what it refuses is cut in halves until each
half is taken or is a single line.  Points have an identity: writing those again that were taken is harmless.
"""

import re
from collections.abc import Callable

import polars as pl

from txwatch.errors import StoreError
from txwatch.stores.influx.connection import PointsRefusedError

TOO_OLD = "retention policy"
_HOW_MANY = re.compile(r"dropped[= ](\d+)")


def write_what_is_taken(write: Callable[[bytes], None], lines: pl.Series) -> dict[int, str]:
    """Write all lines that the server takes; returns the others' row numbers with a sentence for each."""
    return _write(write, lines, 0) if len(lines) else {}


def write_what_is_kept(write: Callable[[bytes], None], lines: pl.Series) -> None:
    """Write all lines but those older than their bucket keeps; raises StoreError for other faults."""
    for sentence in write_what_is_taken(write, lines).values():
        if TOO_OLD not in sentence:
            raise StoreError(f"InfluxDB refuses: {sentence}")


def body(lines: pl.Series) -> bytes:
    """Return lines as the body of a write."""
    return str(lines.str.join("\n").item()).encode()


def _write(write: Callable[[bytes], None], lines: pl.Series, start: int) -> dict[int, str]:
    try:
        write(body(lines))
    except PointsRefusedError as error:
        sentence = str(error)
    else:
        return {}
    if _refuses_all(sentence, len(lines)):
        return dict.fromkeys(range(start, start + len(lines)), sentence)
    middle = len(lines) // 2
    return _write(write, lines[:middle], start) | _write(write, lines[middle:], start + middle)


def _refuses_all(sentence: str, count: int) -> bool:
    found = _HOW_MANY.search(sentence)
    return count == 1 or (found is not None and int(found[1]) == count)
