"""The thread that holds a connection to a server and fills a bounded buffer with its frames."""

import asyncio
import queue
import ssl
import threading
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException

from collector.websocket.backoff import wait_seconds

OPEN_SECONDS = 10.0
GLANCE_SECONDS = 0.2
"""How long one wait lasts before the thread looks whether it shall end."""

FULL_SECONDS = 0.005
"""How long to wait for room in the buffer before looking again."""

_FORBIDDEN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how to connect; `url` is asked again before every connection, for a resume parameter."""

    url: Callable[[], str]
    context: ssl.SSLContext | None
    headers: dict[str, str]
    max_bytes: int
    ping_seconds: float
    direct: bool
    """Past any proxy: for this machine's own addresses."""


class Receiver:
    """Connects, receives and connects again until closed; never more than `frames` frames are held.

    When they are full the socket is not read, so the server's sending stops too.  A refusal that waiting
    does not cure (certificate, token, address) ends it, if it comes before the first connection: `fatal`
    says why.  Later it is waited out, as any trouble is.
    """

    def __init__(self, line: Line, frames: int, luck: Callable[[], float]) -> None:
        self.frames: queue.Queue[bytes] = queue.Queue(frames)
        self.trouble = "not connected yet"
        self.fatal = ""
        self.connections = 0
        self._line = line
        self._luck = luck
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="websocket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; safe to call twice."""
        self._stop.set()
        self._thread.join(OPEN_SECONDS + 1)

    def _work(self) -> None:
        """Use one event loop: on TLS, reading and writing from two threads at once is not safe."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        attempt = 0
        while not self._stop.is_set() and not self.fatal:
            before = self.connections
            try:
                await self._hold()
            except (OSError, WebSocketException, EOFError) as error:
                self._note(error)
            attempt = 0 if self.connections > before else attempt + 1
            if not self.fatal:
                await self._pause(wait_seconds(attempt, self._luck()))

    async def _hold(self) -> None:
        """Stay connected for as long as it lasts."""
        line = self._line
        async with connect(
            line.url(),
            ssl=line.context,
            additional_headers=line.headers,
            open_timeout=OPEN_SECONDS,
            ping_interval=None,
            close_timeout=1,
            max_size=line.max_bytes,
            proxy=None if line.direct else True,
        ) as connection:
            self.connections += 1
            self.trouble = ""
            await self._receive(connection)

    async def _receive(self, connection: ClientConnection) -> None:
        silent, pong = 0.0, None
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(GLANCE_SECONDS):
                    frame = await connection.recv(decode=False)
            except TimeoutError:
                silent += GLANCE_SECONDS
                if pong is not None and pong.done():
                    silent, pong = 0.0, None
                elif pong is None and silent >= self._line.ping_seconds:
                    pong = asyncio.ensure_future(await connection.ping())
                elif silent >= 2 * self._line.ping_seconds:
                    raise OSError("the server does not answer a ping") from None
            else:
                await self._keep(_data(frame))
                silent, pong = 0.0, None

    async def _keep(self, frame: bytes) -> None:
        while not self._stop.is_set():
            try:
                return self.frames.put_nowait(frame)
            except queue.Full:
                await asyncio.sleep(FULL_SECONDS)
        return None

    async def _pause(self, seconds: float) -> None:
        while seconds > 0 and not self._stop.is_set():
            await asyncio.sleep(min(seconds, GLANCE_SECONDS))
            seconds -= GLANCE_SECONDS

    def _note(self, error: Exception) -> None:
        self.trouble = _sentence(error)
        if self.connections == 0 and _is_for_good(error):
            self.fatal = self.trouble


def _data(received: str | bytes) -> bytes:
    return received if isinstance(received, bytes) else received.encode()


def _is_for_good(error: Exception) -> bool:
    if isinstance(error, InvalidStatus):
        return error.response.status_code in _FORBIDDEN
    return isinstance(error, ssl.SSLCertVerificationError | InvalidURI)


def _sentence(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, InvalidStatus):
        return f"the server refuses with HTTP {error.response.status_code}"
    if isinstance(error, InvalidHandshake):
        return f"the server does not speak WebSocket: {error}"
    return f"the connection is lost: {error}"
