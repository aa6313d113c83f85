"""One HTTP request, and its outcome as a value: what the channels over HTTP have in common.

Redirects are not followed: a message goes where an administrator said, or nowhere.
"""

import http.client
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec

from alerts.sending import Delivered, Failed

TIMEOUT_SECONDS = 10
LONGEST_WAIT = 3600.0
"""Who asks for a longer wait is asked again after an hour."""
_READ = 2000
_PASSING = {408, 425, 429}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A server's answer that says that it took the message."""

    status: int
    text: str


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer | Failed:
    """Send a request with this body; what is not answered with 2xx has failed, for now or for good."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    asked = False
    try:
        connection = _connection(parts.scheme, host, parts.port)
        try:
            connection.connect()
            asked = True
            connection.request("POST", _target(parts.path, parts.query), body, {**headers})
            response = connection.getresponse()
            text = response.read(_READ).decode(errors="replace")
        finally:
            connection.close()
    except (http.client.HTTPException, OSError, ValueError) as error:
        said = str(error) or type(error).__name__
        return Failed(sentence=f"{host} does not answer: {said}", unanswered=asked)
    if response.status // 100 == HTTPStatus.OK // 100:
        return Answer(status=response.status, text=text)
    return _refusal(host, response, text)


def taken(answer: Answer | Failed) -> Delivered | Failed:
    """Return what an answer means to the outbox, for channels that give a message no name."""
    return answer if isinstance(answer, Failed) else Delivered(answer=f"answered {answer.status}")


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)


def _target(path: str, query: str) -> str:
    return (path or "/") + (f"?{query}" if query else "")


def _refusal(host: str, response: http.client.HTTPResponse, text: str) -> Failed:
    passing = response.status in _PASSING or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    asked = response.headers.get("Retry-After", "")
    wait = min(float(asked), LONGEST_WAIT) if asked.isdecimal() else None
    said = " ".join(text.split())[:200]
    return Failed(sentence=f"{host} refuses: {response.status} {said}".rstrip(), retryable=passing, wait=wait)
