"""Addresses of topics: `kafka://HOST:PORT[,HOST:PORT]/TOPIC[,TOPIC][?setting=value&...]`.  All pure."""

import re
from urllib.parse import parse_qsl, urlsplit

import msgspec

from txwatch.errors import UsageError

SCHEME = "kafka://"
SECRET = re.compile(r"password|secret|oauthbearer\.config|\.pem$")
"""Settings that nobody shall see in a list of processes."""

_SERVER = re.compile(r"(\[[0-9a-fA-F:]+\]|[^\s:@\[\]]+):[0-9]{1,5}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


class KafkaAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where to start asking for brokers, which topics, and what the address says beyond."""

    servers: str
    topics: tuple[str, ...]
    options: dict[str, str] = {}


def is_kafka(address: str) -> bool:
    """Tell whether an address names topics."""
    return address.startswith(SCHEME)


def parse_address(text: str) -> KafkaAddress:
    """Return what an address says; raises UsageError with one sentence.

    Example:
        >>> parse_address("kafka://k1:9092,k2:9092/payments?group=night").topics
        ('payments',)
    """
    parts = urlsplit(text)
    servers, topics = parts.netloc.split(","), parts.path.strip("/").split(",")
    if not (all(map(_SERVER.fullmatch, servers)) and all(map(_TOPIC.fullmatch, topics))):
        raise UsageError(f"{_shown(text)} is not of the form kafka://HOST:PORT[,HOST:PORT]/TOPIC[,TOPIC]")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if SECRET.search(name):
            raise UsageError(
                f"{name} is a secret: set {variable(name)} instead of writing it into the address"
            )
    return KafkaAddress(servers=parts.netloc, topics=tuple(dict.fromkeys(topics)), options=options)


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return "TXWATCH_KAFKA_" + name.upper().replace(".", "_")


def _shown(text: str) -> str:
    """Leave out what may be a secret."""
    return text.partition("?")[0].rpartition("@")[2]
