"""Open a WebSocket source: `wss://HOST/PATH` calls a server, `listen+wss://HOST:PORT` listens."""

import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from collector.schema import Schema
from collector.source import Source
from collector.websocket.security import is_loopback, read_tokens, server_context
from collector.websocket.settings import ListenSettings, client_settings, listen_settings
from txwatch.errors import ConfigurationError, UsageError
from txwatch.model import Partition

CALLING = ("wss://", "ws://")
LISTENING = ("listen+wss://", "listen+ws://")


class Positions(Protocol):
    """The part of the ledger that these sources need."""

    def positions(self, source: str) -> dict[Partition, int]:
        """Return where a source goes on."""

    def commit_positions(self, moved: Mapping[Partition, int]) -> None:
        """Record where partitions go on."""


def is_websocket(address: str) -> bool:
    """Tell whether an address names a source of this package."""
    return address.startswith(CALLING + LISTENING)


def open_websocket(
    address: str,
    schema: Schema,
    ledger: Positions,
    now: Callable[[], datetime],
    environment: Mapping[str, str],
    home: Path,
    keep: timedelta | None = None,
) -> Source:
    """Open the source; `home` keeps the listener's journal, `keep` is how far back an event time may lie.

    Raises ConfigurationError for settings that are missing, wrong or insecure, and UsageError where the
    library is not installed.
    """
    try:
        if address.startswith(LISTENING):
            return _listen(address, schema, ledger, now, environment, home, keep)
        return _call(address, schema, ledger, now, environment, keep)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{address} needs the library websockets: pip install 'txwatch[websocket]'"
        ) from error


def _call(
    url: str,
    schema: Schema,
    ledger: Positions,
    now: Callable[[], datetime],
    environment: Mapping[str, str],
    keep: timedelta | None,
) -> Source:
    from collector.websocket.client import WebSocketSource  # noqa: PLC0415 - the library is optional

    settings = client_settings(environment)
    return WebSocketSource(
        url,
        settings,
        schema,
        positions=ledger.positions,
        reserve=ledger.commit_positions,
        now=now,
        luck=random.Random().random,  # noqa: S311 - spreads reconnects over time, guards nothing
        keep=keep if settings.live == "on" else None,
    )


def _listen(
    address: str,
    schema: Schema,
    ledger: Positions,
    now: Callable[[], datetime],
    environment: Mapping[str, str],
    home: Path,
    keep: timedelta | None,
) -> Source:
    from collector.websocket.journal import Journal  # noqa: PLC0415 - beside its reader
    from collector.websocket.listener import ListeningSource  # noqa: PLC0415 - the library is optional
    from collector.websocket.server import ListeningServer  # noqa: PLC0415 - the library is optional

    settings = listen_settings(environment)
    host, port = _place(address)
    secure = _is_secure(address, host, settings)
    tokens = read_tokens(settings.tokens_file, settings.tokens)
    context = server_context(settings.certificate, settings.key) if secure else None
    journal = Journal(home / "listener.db", settings.remembered)
    try:
        server = ListeningServer(host, port, settings, tokens, context)
    except BaseException:
        journal.close()
        raise
    return ListeningSource(
        server,
        journal,
        settings.source,
        schema,
        positions=ledger.positions,
        now=now,
        keep=keep if settings.live == "on" else None,
    )


def _place(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{address}: {error}") from error
    if not host or port is None:
        raise UsageError(f"{address} is not of the form listen+wss://HOST:PORT")
    return host, port


def _is_secure(address: str, host: str, settings: ListenSettings) -> bool:
    if address.startswith("listen+wss://"):
        if not settings.certificate:
            raise ConfigurationError("listen+wss:// needs a certificate: set TXWATCH_LISTEN_CERTIFICATE")
        return True
    if settings.allow_plain or is_loopback(host):
        return False
    raise ConfigurationError(
        f"{address} would take tokens and transactions in the clear; use listen+wss://, or set "
        "TXWATCH_LISTEN_ALLOW_PLAIN=1 where the network itself is private"
    )
