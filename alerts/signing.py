"""Signatures (HMAC-SHA-256, RFC 2104): who has the secret can tell that a text is ours, whole, and how old.

A signed text is `<unix seconds>.<text>`, so that an old one can be refused.
"""

import hashlib
import hmac

MOST_SECONDS = 300
"""A receiver refuses what was signed longer ago: somebody may be playing it again."""


def signature(secret: bytes, at: int, text: bytes) -> str:
    """Return the signature of a text that is sent at a time (seconds since 1970)."""
    return hmac.new(secret, b"%d." % at + text, hashlib.sha256).hexdigest()


def is_signed(secret: bytes, at: int, text: bytes, given: str) -> bool:
    """Tell whether a signature is that of the text, in a time that says nothing about it."""
    return hmac.compare_digest(signature(secret, at, text), given)
