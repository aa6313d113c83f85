"""Who may speak to whom: verified certificates, bearer tokens, and plain connections only on loopback."""

import hashlib
import hmac
import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from txwatch.errors import ConfigurationError, InputError

_HEX_DIGITS = 64


def is_secure(url: str, *, allow_plain: bool) -> bool:
    """Tell whether an address is `wss://`; a plain one is refused unless on loopback or allowed."""
    parts = urlsplit(url)
    if parts.scheme == "wss":
        return True
    if allow_plain or is_loopback(parts.hostname or ""):
        return False
    raise ConfigurationError(
        f"{parts.scheme}://{parts.hostname} would send tokens and transactions in the clear; "
        "use wss://, or set TXWATCH_WEBSOCKET_ALLOW_PLAIN=1 where the network itself is private"
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def client_context(authority: str) -> ssl.SSLContext:
    """Return a context that verifies the server, against a private authority's file where one is named."""
    try:
        return ssl.create_default_context(cafile=authority or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{authority} cannot be used as a certificate authority: {error}") from error


def server_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return a context that shows this certificate; raises ConfigurationError where it cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the certificate {certificate} cannot be used: {error}") from error
    return context


class Tokens:
    """The producers that may push, each by the SHA-256 of its token; tokens themselves are not kept."""

    def __init__(self, digests: Mapping[str, str]) -> None:
        self._digests = dict(digests)

    def producer(self, header: str) -> str | None:
        """Return whose token an Authorization header carries, None when nobody's; in constant time."""
        scheme, _, token = header.partition(" ")
        given = digest_of_token(token.strip()) if scheme.lower() == "bearer" else ""
        found = None
        for name, digest in self._digests.items():
            if hmac.compare_digest(digest, given):
                found = name
        return found


def digest_of_token(token: str) -> str:
    """Return what a tokens file keeps of a token.  Tokens are long and random, so no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_tokens(file: str, inline: str) -> Tokens:
    """Return the producers of a tokens file (`name sha256` lines) and of `name:token,name:token`."""
    digests = _from_file(Path(file)) if file else {}
    for entry in filter(None, (part.strip() for part in inline.split(","))):
        name, colon, token = entry.partition(":")
        if not colon or not name or not token:
            raise ConfigurationError("TXWATCH_LISTEN_TOKENS is a list of name:token, separated by commas")
        digests[name] = digest_of_token(token)
    if not digests:
        raise ConfigurationError(
            "listening needs producers' tokens: set TXWATCH_LISTEN_TOKENS_FILE or TXWATCH_LISTEN_TOKENS"
        )
    return Tokens(digests)


def _from_file(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise InputError(f"cannot read the tokens file {file}: {error.strerror}") from error
    digests = {}
    for number, line in enumerate(lines, start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) != 2 or not _is_digest(words[1]):  # noqa: PLR2004 - a name and a digest
            raise ConfigurationError(f"{file}:{number}: a line is a producer's name and a SHA-256 in hex")
        digests[words[0]] = words[1].lower()
    return digests


def _is_digest(word: str) -> bool:
    return len(word) == _HEX_DIGITS and all(letter in "0123456789abcdefABCDEF" for letter in word)
