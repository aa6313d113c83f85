"""Which topic this is: its name with a fingerprint of its id, so that one made anew is a new source.

Offsets of a topic that was deleted and made again start at 0; under the old name they would pass for
messages that are stored already, and be dropped.  Kafka gives every topic an id of its own (since 2.8).
The library does not tell: where the new topic is already longer than the old one was read, it goes on at
the old offset and skips what lies before.  So the ids are asked for all the time, in the background.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

ASK_SECONDS = 5.0
LOOK_SECONDS = 0.25
"""So often the ids are asked for; a topic made anew is noticed about as late."""

_NO_ID = "A" * 22
"""Sixteen zero bytes in the form in which Kafka writes ids."""

_UNKNOWING = frozenset({KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION})  # noqa: SLF001 - the library's public constant

Answers = dict[str, "Future[Any]"]
"""By topic; the library does not export the type of the descriptions."""


class TopicNames:
    """The sources' names by topic."""

    def __init__(
        self, admin: AdminClient, epoch: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`epoch` stands in for the id where brokers have none."""
        self._admin = admin
        self._epoch = epoch
        self._monotonic = monotonic
        self._known: dict[str, str] = {}
        self._doubted: set[str] = set()
        self._anew: set[str] = set()
        self._asked: Answers = {}
        self._looked = monotonic()

    def of(self, topics: set[str]) -> dict[str, str]:
        """Return the names of topics; waits for those in doubt, raises KafkaException without an answer."""
        unsure = topics - self._known.keys() | topics & self._doubted
        if unsure:
            self._learn(self._ask(unsure))
        return self._known

    def known(self, topic: str) -> str | None:
        """Return the name that was used last; without one nothing of the topic was stored."""
        return self._known.get(topic)

    def doubt(self, topics: Iterable[str]) -> None:
        """Ask again before their next use: they may have been made anew."""
        self._doubted |= set(topics)

    def look(self) -> None:
        """Ask now and then whether the known topics are still the same; waits for nothing."""
        if self._asked and all(answer.done() for answer in self._asked.values()):
            asked, self._asked = self._asked, {}
            self._learn({topic: each for topic, each in asked.items() if each.exception() is None})
        if not self._asked and self._known and self._monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = self._monotonic()
            self._asked = self._ask(self._known)

    def anew(self) -> set[str]:
        """Return, once, the topics that turned out to be others than before."""
        anew, self._anew = self._anew, set()
        return anew

    def _ask(self, topics: Iterable[str]) -> Answers:
        return self._admin.describe_topics(TopicCollection(sorted(topics)), request_timeout=ASK_SECONDS)

    def _learn(self, answers: Answers) -> None:
        for topic, answer in answers.items():
            name = source_name(topic, self._id(answer))
            if self._known.get(topic, name) != name:
                self._anew.add(topic)
            self._known[topic] = name
            self._doubted.discard(topic)

    def _id(self, answer: "Future[Any]") -> str:
        try:
            found = str(answer.result().topic_id)
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
