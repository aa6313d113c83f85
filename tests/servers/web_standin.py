"""A local HTTP server that keeps what it gets and has the troubles that it is told to have."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class WebStandIn:
    """`troubles` are used up one a request: a status, "429 7" (Retry-After), or lost (kept, unanswered)."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.troubles: deque[str] = deque()
        self.answer = 202


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        standin = self.server.standin
        body = self.rfile.read(int(self.headers["Content-Length"]))
        trouble = standin.troubles.popleft() if standin.troubles else ""
        if trouble in {"", "lost"}:
            standin.requests.append(Request(self.path, dict(self.headers), body))
        if trouble == "lost":
            self.connection.close()
            return
        status, _, wait = (trouble or str(standin.answer)).partition(" ")
        self.send_response(int(status))
        if wait:
            self.send_header("Retry-After", wait)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def web(context=None) -> Iterator[tuple[WebStandIn, str]]:
    """Yield the stand-in and its address; `context` makes it speak TLS."""
    standin = WebStandIn()
    with served(Handler, standin, context) as port:
        yield standin, f"{'http' if context is None else 'https'}://127.0.0.1:{port}"


@contextmanager
def served(handler: type[BaseHTTPRequestHandler], standin: object, context=None) -> Iterator[int]:
    """Serve on loopback with a handler that knows its stand-in as `server.standin`; yield the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.standin = standin
    server.handle_error = lambda *_: None
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
