"""Links in messages by which somebody acknowledges a group or says what an anomaly was.

A link is a signed text: what it is for, for whom it was sent, until when it works.  Who has none cannot make
one; who changes one has none.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Literal

import msgspec

from alerts.notice import Found, Notice
from alerts.signing import is_signed, signature
from txwatch.secretkey import secret_key

URL, KEY = "TXWATCH_LINKS_URL", "TXWATCH_LINKS_KEY"
VALID_SECONDS = 7 * 86400


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What one link allows; `until` is in seconds since 1970."""

    act: Literal["acknowledge", "label"]
    subject: str
    """The group, or the anomaly."""
    recipient: str
    """To whom it was sent, which the audit names."""
    until: int
    transaction_id: str | None = None


class Invalid(msgspec.Struct, frozen=True, kw_only=True):
    """A link that does nothing, with what to tell its reader."""

    sentence: str
    status: str


class Links:
    """Makes and reads the links of one endpoint."""

    def __init__(self, url: str, key: bytes) -> None:
        self._url, self._key = url.rstrip("/"), key

    def within(self, notice: Notice, recipient: str) -> Notice:
        """Return a notice with links for a recipient in it; digests of many groups have labels alone."""
        until = int(notice.told_at.timestamp()) + VALID_SECONDS
        found = tuple(self._labelled(each, recipient, until) for each in notice.found)
        if notice.kind in {"digest", "daily", "withdrawn", "resolved", "acknowledged"}:
            return msgspec.structs.replace(notice, found=found)
        link = Link(act="acknowledge", subject=notice.group_id, recipient=recipient, until=until)
        return msgspec.structs.replace(notice, found=found, acknowledge_link=self.address(link))

    def address(self, link: Link) -> str:
        """Return the address of a link."""
        text = msgspec.json.encode(link)
        signed = bytes.fromhex(signature(self._key, link.until, text))
        return f"{self._url}/{_encoded(text)}.{_encoded(signed)}"

    def read(self, token: str, now: float) -> Link | Invalid:
        """Return what a token, the end of an address, allows at a time."""
        text, _, signed = token.partition(".")
        try:
            link = msgspec.json.decode(_decoded(text), type=Link)
            given = _decoded(signed).hex()
        except (msgspec.DecodeError, binascii.Error, ValueError):
            return Invalid(sentence="This link is not whole; copy all of it.", status="404 Not Found")
        if not is_signed(self._key, link.until, _decoded(text), given):
            return Invalid(sentence="This link was not made here, or was changed.", status="404 Not Found")
        if now >= link.until:
            return Invalid(sentence="This link is too old; links work for a week.", status="410 Gone")
        return link

    def _labelled(self, found: Found, recipient: str, until: int) -> Found:
        link = Link(
            act="label",
            subject=found.anomaly_id,
            recipient=recipient,
            until=until,
            transaction_id=found.transaction_id,
        )
        return msgspec.structs.replace(found, label_link=self.address(link))


def links_of(environment: Mapping[str, str]) -> Links | None:
    """Return what makes links, None where none are wanted; raises ConfigurationError for a missing key."""
    url = environment.get(URL, "")
    return Links(url, key_of(environment)) if url else None


def key_of(environment: Mapping[str, str]) -> bytes:
    """Return the key of the links; raises ConfigurationError where there is none."""
    return secret_key(KEY, environment.get(KEY, ""))


def _encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
