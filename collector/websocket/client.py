"""A WebSocket server as a source: `wss://...`."""

import queue
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import polars as pl

from collector.decode import Decoder
from collector.live import decoding
from collector.schema import Schema
from collector.source import Collected
from collector.websocket.frames import messages_of, number_in
from collector.websocket.numbered import NO_ROWS, decoded
from collector.websocket.receiver import Line, Receiver
from collector.websocket.security import client_context, is_loopback, is_secure
from collector.websocket.settings import ClientSettings
from txwatch.errors import ConfigurationError, InputError
from txwatch.model import Partition

OURS, THEIRS = 0, 1
"""Partitions: messages that the collector numbers, and those that the server has numbered."""

RESERVED = 100_000
"""Numbers set aside in the ledger at once."""

PLACE = "{sequence}"
"""In the address: the number from which the server shall go on."""

Positions = Callable[[str], Mapping[Partition, int]]
Reserve = Callable[[Mapping[Partition, int]], None]


class WebSocketSource:
    """Takes what a server sends; one frame is one message or a JSON array of messages.

    What it cannot promise: a WebSocket has no acknowledgements.  What the server sends while nobody is
    connected, and what was received but not yet stored when the process dies, is lost, unless the server
    can go back: it numbers its messages (`sequence_field`) and takes a resume parameter (`{sequence}` in
    the address).  Then nothing is lost or doubled, as far back as the server keeps messages; its numbers
    must grow, and a server that begins anew needs a new `source` name.

    Numbers that the collector hands out are set aside in the ledger before they are used, so a number
    never means two messages; after a restart some are skipped.  A message that a server without numbers
    sends twice is two messages.

    At most `frames` frames wait in memory; when they are full, the socket is not read.
    """

    def __init__(
        self,
        url: str,
        settings: ClientSettings,
        schema: Schema,
        *,
        positions: Positions,
        reserve: Reserve,
        now: Callable[[], datetime],
        luck: Callable[[], float],
        keep: timedelta | None = None,
    ) -> None:
        """`reserve` makes positions durable; `luck` gives numbers from 0 to 1, to spread reconnects.

        `keep` is how far back an event time may lie; None is any time at all.
        """
        if PLACE in url and not settings.sequence_field:
            raise ConfigurationError(
                f"{PLACE} in the address needs TXWATCH_WEBSOCKET_SEQUENCE_FIELD, the field of the number"
            )
        self._settings, self._decoder, self._now, self._reserve = settings, Decoder(schema), now, reserve
        self._keep = keep
        source = settings.source or source_name(url)
        self._ours, self._theirs = Partition(source, OURS), Partition(source, THEIRS)
        known = positions(source)
        self._following = self._reserved = known.get(self._ours, 0)
        self._wanted = known.get(self._theirs, 0)
        self._repeated = 0
        self._receiver = Receiver(self._line(url), settings.frames, luck)

    def read(self, limit: int) -> Collected:
        """Return the messages that have come; raises InputError when the server refuses for good."""
        ours: list[bytes] = []
        theirs: list[tuple[int, bytes]] = []
        while len(ours) + len(theirs) < limit:
            try:
                frame = self._receiver.frames.get_nowait()
            except queue.Empty:
                break
            self._sort(frame, ours, theirs)
        if self._receiver.fatal and not ours and not theirs:
            raise InputError(f"{self._ours.source}: {self._receiver.fatal}")
        return self._collected(self._numbered(ours), theirs)

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Nothing to tell: a WebSocket has no acknowledgements."""

    def close(self) -> None:
        """Close the connection."""
        self._receiver.close()

    @property
    def trouble(self) -> str:
        """Why nothing comes at the moment; empty while connected."""
        return self._receiver.trouble

    def figures(self) -> dict[str, float]:
        """Return what becomes metrics: connections made, frames waiting, messages sent again."""
        return {
            "connections_total": float(self._receiver.connections),
            "connected": float(not self._receiver.trouble),
            "waiting_frames": float(self._receiver.frames.qsize()),
            "repeated_total": float(self._repeated),
        }

    def _sort(self, frame: bytes, ours: list[bytes], theirs: list[tuple[int, bytes]]) -> None:
        for message in messages_of(frame):
            field = self._settings.sequence_field
            number = number_in(message, field) if field else None
            if number is None:
                ours.append(message)
            elif number < self._wanted:
                self._repeated += 1
            else:
                theirs.append((number, message))
                self._wanted = number + 1

    def _numbered(self, messages: list[bytes]) -> list[tuple[int, bytes]]:
        first, self._following = self._following, self._following + len(messages)
        if self._following > self._reserved:
            self._reserved = self._following + RESERVED
            self._reserve({self._ours: self._reserved})
        return list(enumerate(messages, start=first))

    def _collected(self, ours: list[tuple[int, bytes]], theirs: list[tuple[int, bytes]]) -> Collected:
        if not ours and not theirs:
            return Collected(rows=NO_ROWS)
        now = self._now()
        decode = decoding(self._decoder, self._keep, now)
        good, bad = decoded(self._ours, ours, decode, now)
        more, worse = decoded(self._theirs, theirs, decode, now)
        positions = {self._ours: self._reserved} if ours else {}
        if theirs:
            positions[self._theirs] = theirs[-1][0] + 1
        return Collected(rows=pl.concat([good, more]), rejected=(*bad, *worse), positions=positions)

    def _line(self, url: str) -> Line:
        settings = self._settings
        secure = is_secure(url, allow_plain=settings.allow_plain)
        token = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        return Line(
            url=lambda: url.replace(PLACE, str(self._wanted)),
            context=client_context(settings.ca_file) if secure else None,
            headers=token,
            max_bytes=settings.max_bytes,
            ping_seconds=settings.ping_seconds,
            direct=is_loopback(urlsplit(url).hostname or ""),
        )


def source_name(url: str) -> str:
    """Return host and path of an address: what it is called in the store."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{host}:{parts.port}{parts.path}" if parts.port else f"{host}{parts.path}"
