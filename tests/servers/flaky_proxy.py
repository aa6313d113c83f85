"""An HTTP server in front of a real one that fails as told: answers of its own, and lost answers."""

import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOST = "lost"
"""The request is carried out, its answer never arrives."""


class FlakyProxy(ThreadingHTTPServer):
    """Passes writes on; each one takes the next of `faults` (a status, or LOST) while there are any."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.faults: deque[int | str] = deque()
        self.writes = 0

    def next_fault(self, path: str) -> int | str | None:
        if not path.startswith("/api/v2/write"):
            return None
        self.writes += 1
        return self.faults.popleft() if self.faults else None


@contextmanager
def in_front_of(target: str) -> Iterator[FlakyProxy]:
    """Run a proxy as long as the block lasts."""
    proxy = FlakyProxy(target)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FlakyProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.next_fault(self.path)
        if isinstance(fault, int):
            self._answer(fault, b'{"message": "told to fail"}')
            return
        status, answer = self._pass_on(body)
        if fault == LOST:
            self.close_connection = True
            return
        self._answer(status, answer)

    def _pass_on(self, body: bytes) -> tuple[int, bytes]:
        headers = {
            name: self.headers[name]
            for name in ("Authorization", "Accept", "Content-Type")
            if name in self.headers
        }
        request = urllib.request.Request(self.server.target + self.path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""
