"""A local server that answers as Slack's Web API publishes it, and has the troubles it may have.

It knows chat.postMessage and chat.update, refuses what Block Kit refuses, and keeps the messages.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

from web_standin import served

TOKEN = "xoxb-test"


class SlackStandIn:
    """`troubles` are used up one a request: an error word, 429, 503, slow, reset, lost (done, unanswered)."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.posts: list[dict[str, Any]] = []
        self.updates = 0
        self.troubles: deque[str] = deque()
        self._lock = threading.Lock()

    def answer(self, method: str, token: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Return what Slack answers to a call."""
        if token != TOKEN:
            return {"ok": False, "error": "invalid_auth"}
        if "blocks" in fields and (fault := block_fault(fields["blocks"])) is not None:
            return {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": [fault]}}
        with self._lock:
            return self._post(fields) if method == "chat.postMessage" else self._update(fields)

    def _post(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields["channel"] == "#nowhere":
            return {"ok": False, "error": "channel_not_found"}
        ts = f"1700000000.{len(self.posts):06}"
        self.posts.append(fields)
        self.messages[ts] = fields
        return {"ok": True, "channel": "C024BE91L", "ts": ts, "message": {"text": fields["text"]}}

    def _update(self, fields: dict[str, Any]) -> dict[str, Any]:
        if fields["ts"] not in self.messages:
            return {"ok": False, "error": "message_not_found"}
        self.updates += 1
        self.messages[fields["ts"]] = fields
        return {"ok": True, "channel": fields["channel"], "ts": fields["ts"], "text": fields["text"]}


def block_fault(blocks: list[dict[str, Any]]) -> str | None:
    """Return what Block Kit would refuse, by its published limits; None if nothing."""
    if not 0 < len(blocks) <= 50:
        return "must have 1 to 50 blocks"
    return next((fault for block in blocks if (fault := _fault(block)) is not None), None)


def _fault(block: dict[str, Any]) -> str | None:
    if block["type"] == "header":
        fits = block["text"]["type"] == "plain_text" and 0 < len(block["text"]["text"]) <= 150
        return None if fits else "a header has 1 to 150 characters of plain text"
    if block["type"] == "section":
        fits = block["text"]["type"] in {"mrkdwn", "plain_text"} and 0 < len(block["text"]["text"]) <= 3000
        return None if fits else "a section has 1 to 3000 characters"
    if block["type"] == "context":
        texts = [element["text"] for element in block["elements"]]
        fits = 0 < len(texts) <= 10 and all(0 < len(text) <= 3000 for text in texts)
        return None if fits else "a context has 1 to 10 elements of 1 to 3000 characters"
    return f"unknown block {block['type']}"


class Handler(BaseHTTPRequestHandler):
    """One request: its trouble, if there is one, otherwise the stand-in's answer."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fields = self._fields(body)
        trouble = self.server.standin.troubles.popleft() if self.server.standin.troubles else ""
        if trouble in {"reset", "lost"}:
            if trouble == "lost":
                self.server.standin.answer(self._method(), self._token(), fields)
            self.connection.close()
            return None
        if trouble == "slow":
            time.sleep(0.3)
        if trouble in {"429", "503"}:
            headers = {"Retry-After": "7"} if trouble == "429" else {}
            return self._reply(int(trouble), {"ok": False, "error": "ratelimited"}, headers)
        if trouble and trouble != "slow":
            return self._reply(200, {"ok": False, "error": trouble}, {})
        return self._reply(200, self.server.standin.answer(self._method(), self._token(), fields), {})

    def _fields(self, body: str) -> dict[str, Any]:
        if "json" in self.headers["Content-Type"]:
            return json.loads(body)
        return {name: values[0] for name, values in parse_qs(body).items()}

    def _method(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _reply(self, status: int, answer: dict[str, Any], headers: dict[str, str]) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def slack() -> Iterator[tuple[SlackStandIn, str]]:
    """Yield the stand-in and its address."""
    standin = SlackStandIn()
    with served(Handler, standin) as port:
        yield standin, f"http://127.0.0.1:{port}/api/"
