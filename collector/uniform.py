"""Messages that are all of one form, which is how a producer's messages are: the shortest way to columns.

Each is parsed alone.  What is not surely of the form goes the longer way (`collector.batch`), all of it.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import msgspec

from collector.decode import LONGEST_MESSAGE, Decoder

Columns = dict[str, tuple[Any, ...]]

_FORMS = (frozenset({str}), frozenset({int}), frozenset({float}), frozenset({int, float}))
"""Types that the values of one column have."""


def uniform_columns(messages: Sequence[bytes], decoder: Decoder) -> Columns | None:
    """Return the messages' values by name, or None if they are not all of one form.

    They are if each is a flat JSON object with the same fields, all of them the schema's, each field with
    values of one type, and none stands twice: then there are as many quotation marks as that takes.
    """
    if not messages or max(map(len, messages)) > LONGEST_MESSAGE:
        return None
    columns = _same_fields(messages, decoder)
    if columns is None:
        return None
    kinds = [frozenset(map(type, values)) for values in columns.values()]
    if not all(kind in _FORMS for kind in kinds):
        return None
    marks = 2 * (len(columns) + kinds.count(_FORMS[0])) * len(messages)
    text = b"".join(messages)
    return columns if text.count(b'"') == marks and b"\\" not in text else None


def _same_fields(messages: Sequence[bytes], decoder: Decoder) -> Columns | None:
    try:
        records = list(map(decoder.parse_plain, messages))
        names = tuple(records[0])
        if len(names) < _LEAST or not decoder.columns.issuperset(names):
            return None
        if set(map(len, records)) != {len(names)}:
            return None
        rows = list(map(itemgetter(*names), records))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, TypeError, KeyError):
        return None
    return dict(zip(names, zip(*rows, strict=True), strict=True))


_LEAST = 2
"""One name alone would not give a tuple."""
