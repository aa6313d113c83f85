"""How text is written for InfluxDB: in tags, in string fields, in InfluxQL, and packed into the feed."""

import re
from urllib.parse import unquote

UNSAFE = ["%", ",", '"', "\\", "\x7f", *map(chr, range(32))]
"""What packed text must not contain: its separator, and whatever CSV or line protocol would quote."""

ENCODED = [f"%{ord(character):02X}" for character in UNSAFE]
EMPTY = "%"
"""An empty text, when packed or a tag; nothing at all is a missing one."""

_UNSAFE_IN_TAG = re.compile(r"[%\\\x00-\x1f\x7f]")
_SPECIAL_IN_TAG = re.compile(r"([,= ])")


def tag(value: str) -> str:
    """Return a tag's value as line protocol has it.

    What line protocol cannot hold (a line break) or holds ambiguously (a backslash) is percent-encoded.
    """
    return _SPECIAL_IN_TAG.sub(r"\\\1", encode_tag(value))


def encode_tag(value: str) -> str:
    """Return a tag's value as it is stored; InfluxDB has no empty tags."""
    return _UNSAFE_IN_TAG.sub(lambda found: f"%{ord(found[0]):02X}", value) or EMPTY


def decode_tag(stored: str) -> str:
    """Return what `encode_tag` was given."""
    return "" if stored == EMPTY else unquote(stored)


def string_field(value: str) -> str:
    """Return a field's text, quoted, as line protocol has it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def influxql(value: str) -> str:
    """Return a text as InfluxQL's string literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
