"""The thread that listens: takes frames of producers, one event loop for all connections.

A producer shows a bearer token in the handshake.  What it sends is an envelope (see `frames`), what it
gets back is one JSON object a frame:

    {"ack": "id", "messages": 3, "repeated": false}    stored, or in quarantine
    {"refused": "id or null", "why": "..."}            not taken, and will not be

Answers come in the order in which frames were settled.  A connection with too many unanswered frames is
not read until some are answered, and so TCP slows the producer down.
"""

import asyncio
import http
import ssl
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from collector.websocket.frames import Envelope, envelope_of
from collector.websocket.security import Tokens
from collector.websocket.settings import ListenSettings
from txwatch.errors import InputError

START_SECONDS = 10.0
CLOSE_SECONDS = 2.0

Answer = Callable[[bytes], None]


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """A frame that a producer pushed; `answer` sends it bytes, from any thread, at most once."""

    producer: str
    envelope: Envelope
    answer: Answer


class ListeningServer:
    """Listens until closed; frames wait in a bounded line until `take`."""

    def __init__(
        self, host: str, port: int, settings: ListenSettings, tokens: Tokens, context: ssl.SSLContext | None
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._line: deque[Pushed] = deque()
        self._loop = asyncio.new_event_loop()
        self._room = asyncio.Semaphore(settings.frames)
        self._server: Server | None = None
        self.connected = 0
        self.refused = 0
        self.port = 0
        self._thread = threading.Thread(target=self._loop.run_forever, name="listener", daemon=True)
        self._thread.start()
        self._start(host, port, context)

    def take(self) -> Pushed | None:
        """Return the next frame that waits, None where none does."""
        try:
            return self._line.popleft()
        except IndexError:
            return None

    def release(self, frames: int) -> None:
        """Make room for so many more frames: those that were taken are written."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._widen, frames)

    def close(self) -> None:
        """Close every connection and end the thread; safe to call twice."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(START_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
        self._loop.close()

    def _start(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        opening = asyncio.run_coroutine_threadsafe(self._open(host, port, context), self._loop)
        try:
            opening.result(START_SECONDS)
        except OSError as error:
            self.close()
            raise InputError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error

    async def _open(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        settings = self._settings
        self._server = await serve(
            self._serve,
            host,
            port,
            ssl=context,
            process_request=self._admit,
            max_size=settings.max_bytes,
            ping_interval=settings.ping_seconds,
            ping_timeout=settings.ping_timeout_seconds,
            close_timeout=1,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), CLOSE_SECONDS)
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        producer = self._tokens.producer(request.headers.get("Authorization", ""))
        if producer is None:
            self.refused += 1
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "a producer's bearer token is needed\n")
        if self.connected >= self._settings.connections:
            self.refused += 1
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "too many producers; try later\n")
        connection.username = producer
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        self.connected += 1
        try:
            with suppress(ConnectionClosed):
                await self._receive(connection)
        finally:
            self.connected -= 1

    async def _receive(self, connection: ServerConnection) -> None:
        own = asyncio.Semaphore(self._settings.frames_each)
        while True:
            await own.acquire()
            frame = await connection.recv(decode=False)
            envelope = self._judged(frame if isinstance(frame, bytes) else frame.encode())
            answer = self._answerer(connection, own)
            if isinstance(envelope, Envelope):
                await self._room.acquire()
                name = connection.username or ""
                self._line.append(Pushed(producer=name, envelope=envelope, answer=answer))
            else:
                answer(envelope)

    def _judged(self, frame: bytes) -> Envelope | bytes:
        """Return the envelope, or the answer that refuses it."""
        envelope = envelope_of(frame)
        if not isinstance(envelope, Envelope):
            return refusal(None, envelope)
        if len(envelope.messages) > self._settings.max_messages:
            return refusal(envelope.id, f"a frame has at most {self._settings.max_messages:,} messages")
        return envelope

    def _answerer(self, connection: ServerConnection, own: asyncio.Semaphore) -> Answer:
        def answer(content: bytes) -> None:
            if not self._loop.is_closed():
                asyncio.run_coroutine_threadsafe(_send(connection, own, content), self._loop)

        return answer

    def _widen(self, frames: int) -> None:
        for _ in range(frames):
            self._room.release()


def acknowledgement(frame: str, messages: int, *, repeated: bool) -> bytes:
    """Return the answer for a frame that is stored."""
    return msgspec.json.encode({"ack": frame, "messages": messages, "repeated": repeated})


def refusal(frame: str | None, why: str) -> bytes:
    """Return the answer for a frame that is not taken and never will be."""
    return msgspec.json.encode({"refused": frame, "why": why})


async def _send(connection: ServerConnection, own: asyncio.Semaphore, content: bytes) -> None:
    """Answer a frame, if its producer is still there, and let the connection take another."""
    with suppress(ConnectionClosed):
        await connection.send(content, text=True)
    own.release()
