"""What PagerDuty tells back: somebody acknowledged, or resolved, an incident there, so somebody looks at it.

PagerDuty signs the body of its webhooks (v3): `X-PagerDuty-Signature` is `v1=` and the HMAC-SHA-256 in
hexadecimal digits, several of them while a secret is changed.  The incident's key is the group's id.

Guarantee: told twice, or played again, it changes nothing, as a group that is acknowledged stays so.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Any, Protocol
from wsgiref.types import StartResponse, WSGIEnvironment

import msgspec

from txwatch.errors import StoreBusyError, TxwatchError

PATH = "/pagerduty"
SECRET = "TXWATCH_PAGERDUTY_WEBHOOK_SECRET"  # noqa: S105 - the name of a setting
MOST_BYTES = 1_000_000
NAME_LENGTH = 60
_LOOKED_AT = {"incident.acknowledged", "incident.resolved"}


class Acknowledging(Protocol):
    """Acknowledges a group, by whoever did so elsewhere."""

    def acknowledge_group(self, group_id: str, actor: str) -> None:
        """Acknowledge a group unless somebody did already; raises TxwatchError where it cannot be."""


class PagerBack:
    """A WSGI application; `seen` is told what came of each request."""

    def __init__(self, secret: str, acts: Acknowledging, seen: Callable[[str], None]) -> None:
        self._secret, self._acts, self._seen = secret.encode(), acts, seen

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        status, text = self.answer(environ["REQUEST_METHOD"], *_signed(environ))
        body = text.encode()
        start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [body]

    def answer(self, method: str, body: bytes, signatures: str) -> tuple[str, str]:
        """Return status and text; what PagerDuty cannot mend is taken, so that it asks no more."""
        if method != "POST" or not self._is_signed(body, signatures):
            self._seen("refused")
            return "401 Unauthorized", "not signed with the secret of this endpoint"
        told = _told(body)
        if told is None:
            return "200 OK", "nothing to be done"
        try:
            self._acts.acknowledge_group(*told)
        except StoreBusyError as error:
            return "503 Service Unavailable", str(error)
        except TxwatchError as error:
            self._seen("refused")
            return "200 OK", str(error)
        self._seen("acted")
        return "200 OK", "acknowledged"

    def _is_signed(self, body: bytes, signatures: str) -> bool:
        right = "v1=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        given = [each.strip().encode() for each in signatures.split(",")]
        return any(hmac.compare_digest(each, right.encode()) for each in given)


def _signed(environ: WSGIEnvironment) -> tuple[bytes, str]:
    length = environ.get("CONTENT_LENGTH") or "0"
    known = length.isdecimal() and int(length) <= MOST_BYTES
    body = environ["wsgi.input"].read(int(length)) if known else b""
    return body, environ.get("HTTP_X_PAGERDUTY_SIGNATURE", "")


def _told(body: bytes) -> tuple[str, str] | None:
    """Return the group and who looks at it; None for every other event."""
    try:
        event = msgspec.json.decode(body, type=_Envelope).event
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if event.event_type not in _LOOKED_AT or not event.data.incident_key:
        return None
    name = "".join(each for each in event.agent_name if each.isprintable())[:NAME_LENGTH]
    return event.data.incident_key, f"{name or 'somebody'} (at PagerDuty)"


class _Incident(msgspec.Struct, frozen=True, kw_only=True):
    incident_key: str | None = None


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    event_type: str
    data: _Incident
    agent: dict[str, Any] | None = None

    @property
    def agent_name(self) -> str:
        """Who did it, as PagerDuty shows it."""
        return str((self.agent or {}).get("summary") or "")


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    event: _Event
