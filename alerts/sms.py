"""SMS, by the web interface of whatever gateway there is: a template says what its request looks like.

Guarantee: at least once; `{key}` is the same at every try, for gateways that know a message again.
"""

import base64
import json
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlencode

import msgspec

from alerts.notice import Notice, headline
from alerts.posting import post, taken
from alerts.sending import Delivered, Failed

LENGTH = 160
"""Characters: one SMS."""
FIELDS = ("to", "text", "key", "group", "severity")


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """How to ask a gateway: address, fields with {to}, {text}, {key}, {group}, {severity} in them, login."""

    url: str
    template: Mapping[str, str]
    encoding: Literal["json", "form"] = "json"
    auth: Literal["bearer", "basic", "none"] = "bearer"
    token: str = ""
    """The bearer token, or USER:PASSWORD."""


class SmsSender:
    """Sends to one number."""

    def __init__(self, number: str, gateway: Gateway) -> None:
        self._number, self._gateway = number, gateway

    def send(self, notice: Notice, key: str, reference: str) -> Delivered | Failed:
        """Ask the gateway to send one SMS."""
        del reference  # an SMS cannot be changed
        body, kind = request(self._gateway, self._number, notice, key)
        return taken(post(self._gateway.url, body, {"Content-Type": kind, **_login(self._gateway)}))


def request(gateway: Gateway, number: str, notice: Notice, key: str) -> tuple[bytes, str]:
    """Return the request's body and its content type; values are encoded after they are filled in."""
    values = {
        "to": number,
        "text": text_of(notice),
        "key": key,
        "group": notice.group_id,
        "severity": notice.severity,
    }
    filled = {name: worded(template, values) for name, template in gateway.template.items()}
    if gateway.encoding == "json":
        return json.dumps(filled).encode(), "application/json"
    return urlencode(filled).encode(), "application/x-www-form-urlencoded"


def text_of(notice: Notice) -> str:
    """Return what fits into one SMS: the headline, and the group's id to acknowledge it by."""
    end = f" [{notice.group_id}]"
    said = headline(notice)
    room = LENGTH - len(end)
    return (said if len(said) <= room else said[: room - 3] + "...") + end


def worded(template: str, values: Mapping[str, str]) -> str:
    """Return a template with its fields filled in, each once, whatever the values look like."""
    head, brace, rest = template.partition("{")
    name, end, tail = rest.partition("}")
    if not brace:
        return head
    if not end or name not in values:
        raise ValueError(f"{{{name}}} is none of {', '.join(f'{{{field}}}' for field in values)}")
    return head + values[name] + worded(tail, values)


def _login(gateway: Gateway) -> dict[str, str]:
    if gateway.auth == "none":
        return {}
    if gateway.auth == "bearer":
        return {"Authorization": f"Bearer {gateway.token}"}
    return {"Authorization": "Basic " + base64.b64encode(gateway.token.encode()).decode()}
