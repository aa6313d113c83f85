"""Which topic this is: its name with a fingerprint of its id, so that one made anew is a new source.

Offsets of a topic that was deleted and made again start at 0; under the old name they would pass for
messages that are stored already, and be dropped.  Kafka gives every topic an id of its own (since 2.8).
"""

import hashlib
from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

ASK_SECONDS = 5.0
_NO_ID = "A" * 22
"""Sixteen zero bytes in the form in which Kafka writes ids."""

_UNKNOWING = frozenset({KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION})  # noqa: SLF001 - the library's public constant


class TopicNames:
    """The sources' names by topic, asked for once, and again when a topic may be another."""

    def __init__(self, admin: AdminClient, epoch: str) -> None:
        """`epoch` stands in for the id where brokers have none."""
        self._admin = admin
        self._epoch = epoch
        self._known: dict[str, str] = {}
        self._doubted: set[str] = set()

    def of(self, topics: set[str]) -> dict[str, str]:
        """Return the names of topics; raises KafkaException while Kafka cannot tell."""
        unsure = sorted(topics - self._known.keys() | topics & self._doubted)
        if unsure:
            asked = self._admin.describe_topics(TopicCollection(unsure), request_timeout=ASK_SECONDS)
            for topic, answer in asked.items():
                self._known[topic] = source_name(topic, self._id(answer))
                self._doubted.discard(topic)
        return self._known

    def known(self, topic: str) -> str | None:
        """Return the name that was used last; without one nothing of the topic was stored."""
        return self._known.get(topic)

    def doubt(self, topics: Iterable[str]) -> None:
        """Ask again before their next use: they may have been made anew."""
        self._doubted |= set(topics)

    def _id(self, answer: object) -> str:
        try:
            found = str(answer.result().topic_id)  # type: ignore[attr-defined] # a Future of a type that the library does not export
        except KafkaException as error:
            if error.args[0].code() in _UNKNOWING:
                return self._epoch
            raise
        return self._epoch if found in {_NO_ID, "None"} else found


def source_name(topic: str, topic_id: str) -> str:
    """Return the source's name of a topic.

    Example:
        >>> source_name("payments", "7yWuA0n4QU2T27d02PEykA")
        'payments@55e4ee7a9db3'
    """
    return f"{topic}@{hashlib.blake2b(topic_id.encode(), digest_size=6).hexdigest()}"


def topic_of(source: str) -> str:
    """Return the topic of a source's name."""
    return source.rpartition("@")[0]
