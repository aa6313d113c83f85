"""Samples of rejected messages that may be shown: their form without their content."""

from typing import Any

import msgspec

SHOWN_LETTERS = 160
_PLAIN = str.maketrans({"\n": " ", "\t": " "})


def masked(raw: bytes) -> str:
    """Return the head of a message with an x for each letter of its values, and a 9 for each digit.

    The names of a JSON object stay, so that one sees what was sent and in which form.

    Example:
        >>> masked(b'{"user_id": "u17", "amount": -3.5, "paid": true}')
        '{"user_id":"x99","amount":"-9.9","paid":true}'
    """
    try:
        record = msgspec.json.decode(raw)
        text = (
            msgspec.json.encode(_hidden(record)).decode() if isinstance(record, dict) else _mask(_text(raw))
        )
    except (msgspec.DecodeError, ValueError, RecursionError):
        text = _mask(_text(raw))
    return text if len(text) <= SHOWN_LETTERS else text[:SHOWN_LETTERS] + "..."


def printable(text: str) -> str:
    r"""Return text that cannot move a cursor, ring a bell or hide: \x1b instead of the sign itself."""
    return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in text)


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {printable(name): _hidden(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_hidden(inner) for inner in value]
    return value if value is None or isinstance(value, bool) else _mask(str(value))


def _text(raw: bytes) -> str:
    return raw[: 4 * SHOWN_LETTERS].decode(errors="replace")


def _mask(text: str) -> str:
    return printable("".join(_masked_sign(sign) for sign in text.translate(_PLAIN)))


def _masked_sign(sign: str) -> str:
    if sign.isdigit():
        return "9"
    return "x" if sign.isalnum() else sign
