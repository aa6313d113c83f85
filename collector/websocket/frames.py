"""Frames taken apart: the messages in one, and the envelope of those that ask for an acknowledgement.

A frame of a plain stream is one message, or a JSON array of messages.  A frame to the listener is an
envelope, `{"id": "any text, at most 128 bytes", "messages": [{...}, ...]}`.
"""

import hashlib

import msgspec

LONGEST_ID = 128

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A frame that asks to be acknowledged by its id."""

    id: str
    messages: list[msgspec.Raw]

    def __post_init__(self) -> None:
        """Refuse an id that cannot be kept."""
        if not 0 < len(self.id.encode(errors="surrogatepass")) <= LONGEST_ID:
            raise ValueError(f"an id has 1 to {LONGEST_ID} bytes")


_ENVELOPE = msgspec.json.Decoder(Envelope)


def messages_of(frame: bytes) -> list[bytes]:
    """Return the messages of a frame; what is no array is one message, whatever it holds."""
    if frame.lstrip()[:1] != b"[":
        return [frame]
    try:
        return [bytes(message) for message in _ARRAY.decode(frame)]
    except _BROKEN:
        return [frame]


def envelope_of(frame: bytes) -> Envelope | str:
    """Return the envelope, or a sentence that says what is wrong with it."""
    try:
        return _ENVELOPE.decode(frame)
    except _BROKEN as error:
        return f"the frame is no envelope: {error}"


def digest_of(messages: list[bytes]) -> bytes:
    """Return what tells the content of two frames apart."""
    digest = hashlib.sha256()
    for message in messages:
        digest.update(len(message).to_bytes(8, "big") + message)
    return digest.digest()


def number_in(message: bytes, field: str) -> int | None:
    """Return the number that the server gave a message, None where it has none."""
    try:
        record = msgspec.json.decode(message)
    except _BROKEN:
        return None
    number = record.get(field) if isinstance(record, dict) else None
    fits = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**62
    return number if fits else None
