"""Addresses of topics: `kafka://HOST:PORT[,HOST:PORT]/TOPIC[,TOPIC][?setting=value&...]`.  All pure.

A topic that begins with `^` is a regular expression: every topic whose name it matches, also those that are
made later.  In it a comma is written %2C and a question mark %3F.
"""

import re
from urllib.parse import parse_qsl, unquote, urlsplit

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


def is_pattern(topic: str) -> bool:
    """Tell whether a topic of an address stands for all that it matches."""
    return topic.startswith("^")


def parse_address(text: str) -> KafkaAddress:
    """Return what an address says; raises UsageError with one sentence.

    Example:
        >>> parse_address("kafka://k1:9092,k2:9092/payments?group=night").topics
        ('payments',)
    """
    parts = urlsplit(text)
    servers, topics = parts.netloc.split(","), [unquote(each) for each in parts.path.strip("/").split(",")]
    if not (all(map(_SERVER.fullmatch, servers)) and all(map(_can_be, topics))):
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


def _can_be(topic: str) -> bool:
    if not is_pattern(topic):
        return _TOPIC.fullmatch(topic) is not None
    try:
        re.compile(topic)
    except re.error as error:
        raise UsageError(f"{topic} is no regular expression: {error}") from error
    return True


def _shown(text: str) -> str:
    """Leave out what may be a secret."""
    return text.partition("?")[0].rpartition("@")[2]
