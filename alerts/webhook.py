"""A webhook: the notice as JSON, signed, for whatever else has to know.

Guarantee: at least once.  `Idempotency-Key` is the same at every try, by which the receiver knows it again;
what was not answered counts as unanswered.
"""

import msgspec

from alerts.notice import Notice, title
from alerts.posting import post, taken
from alerts.sending import Delivered, Failed
from alerts.signing import signature
from txwatch.ports import Clock

VERSION = 1
"""Of the JSON: raised when a field changes its meaning or goes."""


class WebhookSender:
    """Posts to one address; `X-Txwatch-Signature` is the HMAC of `<X-Txwatch-Timestamp>.<body>`."""

    def __init__(self, url: str, secret: str, clock: Clock) -> None:
        self._url, self._secret, self._clock = url, secret.encode(), clock

    def send(self, notice: Notice, key: str, reference: str) -> Delivered | Failed:
        """Post the notice."""
        del reference  # the receiver finds the group by its id
        body = msgspec.json.encode({"version": VERSION, "key": key, "title": title(notice), "notice": notice})
        at = int(self._clock.now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "X-Txwatch-Timestamp": str(at),
            "X-Txwatch-Signature": f"sha256={signature(self._secret, at, body)}",
        }
        return taken(post(self._url, body, headers))
