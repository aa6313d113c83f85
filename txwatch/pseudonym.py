"""Pseudonyms: what people without the right to raw ids see of them, the same everywhere.

A pseudonym is a keyed hash (HMAC-SHA-256, RFC 2104, cut to 80 bits) of the kind of id and the id.  Without
the key nobody computes it, with it everybody gets the same one, so it can be searched and joined.  It names
the version of its key; a person is erased by forgetting the key.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from txwatch.secretkey import secret_key

KEY = "TXWATCH_PSEUDONYM_KEY"
"""The setting: 64 hexadecimal digits, or VERSION:DIGITS once the first key was replaced."""

KINDS = {"user_id": "user", "card_id": "card", "device_id": "device", "ip": "ip"}
"""By field of a transaction: how its pseudonyms begin."""

_BYTES = 10


class Pseudonyms:
    """Makes the pseudonyms of one key."""

    def __init__(self, key: bytes, version: int = 1) -> None:
        self._key = key
        self.version = version

    def __call__(self, kind: str, raw: str) -> str:
        """Return the pseudonym of an id; `kind` is its field, such as user_id."""
        digest = hmac.digest(self._key, f"{kind}\0{raw}".encode(), hashlib.sha256)[:_BYTES]
        return f"{KINDS[kind]}-{self.version}-{base64.b32encode(digest).decode().lower()}"


def pseudonyms_of(secrets: Mapping[str, str]) -> Pseudonyms | None:
    """Return the pseudonyms of the key among the secrets, None where there is none.

    Raises ConfigurationError for a key that is too short or not hexadecimal.
    """
    text = secrets.get(KEY, "")
    if not text:
        return None
    version, _, digits = text.rpartition(":")
    try:
        number = int(version or "1")
    except ValueError:
        number = 0
    key = secret_key(KEY, digits if number >= 1 else "")
    return Pseudonyms(key, number)
