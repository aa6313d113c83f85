"""Settings of both directions, from the environment: `TXWATCH_WEBSOCKET_*` and `TXWATCH_LISTEN_*`."""

from collections.abc import Mapping
from typing import Literal, TypeVar

import msgspec

from txwatch.errors import ConfigurationError


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a server is called; each is the variable TXWATCH_WEBSOCKET_<NAME>."""

    token: str = ""
    """Sent as `Authorization: Bearer ...`."""
    ca_file: str = ""
    """Certificates of a private authority (PEM), instead of the system's."""
    allow_plain: bool = False
    """Whether `ws://` may leave this machine."""
    source: str = ""
    """The source's name in the store; empty is host and path of the address."""
    sequence_field: str = ""
    """The message field in which the server numbers its messages; empty: the collector numbers them."""
    live: Literal["on", "off"] = "on"
    """Whether event times must lie in the live window."""
    frames: int = 64
    """Frames held in memory; when they are full the socket is not read."""
    max_bytes: int = 4 * 1024 * 1024
    """The longest frame that is taken."""
    ping_seconds: float = 20.0
    """After so long without a frame the server is asked for a sign of life, and given as long again."""

    def __repr__(self) -> str:
        """Leave the token out."""
        return f"ClientSettings(source={self.source!r}, sequence_field={self.sequence_field!r})"


class ListenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How producers are listened to; each is the variable TXWATCH_LISTEN_<NAME>."""

    tokens: str = ""
    """`name:token,name:token`; for a handful of producers."""
    tokens_file: str = ""
    """A file of `name sha256-of-the-token` lines."""
    certificate: str = ""
    """The certificate chain shown to producers (PEM)."""
    key: str = ""
    """Its private key (PEM), where the chain's file does not hold it."""
    allow_plain: bool = False
    """Whether plain connections are taken from other machines."""
    source: str = "listener"
    """The source's name in the store."""
    live: Literal["on", "off"] = "on"
    """Whether event times must lie in the live window."""
    connections: int = 100
    """Producers connected at once; more are turned away."""
    frames: int = 64
    """Frames waiting to be written, of all producers together."""
    frames_each: int = 16
    """Frames of one connection that may wait for their acknowledgement; then it is not read."""
    max_bytes: int = 4 * 1024 * 1024
    """The longest frame that is taken."""
    max_messages: int = 10_000
    """The most messages in a frame."""
    remembered: int = 100_000
    """Frames whose ids are remembered, newest first, so that a repeated one is not stored again."""
    ping_seconds: float = 20.0
    """How often a producer is asked for a sign of life."""
    ping_timeout_seconds: float = 60.0
    """How long it may take to give one."""

    def __repr__(self) -> str:
        """Leave the tokens out."""
        return f"ListenSettings(source={self.source!r}, certificate={self.certificate!r})"


Kind = TypeVar("Kind", ClientSettings, ListenSettings)


def client_settings(environment: Mapping[str, str]) -> ClientSettings:
    """Return the client's settings; raises ConfigurationError for a value of the wrong kind."""
    return _read(ClientSettings, "TXWATCH_WEBSOCKET_", environment)


def listen_settings(environment: Mapping[str, str]) -> ListenSettings:
    """Return the listener's settings; raises ConfigurationError for a value of the wrong kind."""
    return _read(ListenSettings, "TXWATCH_LISTEN_", environment)


def _read(kind: type[Kind], prefix: str, environment: Mapping[str, str]) -> Kind:
    names = {prefix + name.upper(): name for name in kind.__struct_fields__}
    values = {names[key]: value for key, value in environment.items() if key in names}
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"a {prefix} environment variable is wrong: {error}") from error
