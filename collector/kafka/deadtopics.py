"""The quarantine as Kafka topics: what was rejected of `payments` goes to `payments.dead`.

Guarantee: `quarantine` returns when every record is acknowledged by all replicas (`acks=all`), and only
then is the offset committed.  Lost: nothing.  Twice: a crash in between writes a record again under the
same key; reading gives the first one alone.  What Kafka does not take for its length is shortened: the
headers keep the length and the SHA-256 of the whole.

A record that is dropped gets a letter without a value under its key: it is read no more, and Kafka deletes
it when it compacts.  That relies on a key staying in its partition, so give these topics no new partitions.
"""

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from confluent_kafka import Message

from collector.kafka.address import KafkaAddress, is_pattern
from collector.kafka.letters import dropped, letter, read_letter
from collector.kafka.names import topic_of
from collector.kafka.posting import PostOffice, milliseconds
from collector.kafka.settings import SUFFIX, client_config, consumer_config, kafka_settings, producer_config
from collector.kafka.whole import WholeTopics
from txwatch.model import Quarantined

KEPT = timedelta(days=30)
"""How long Kafka keeps dead letters, where the topic is made here."""


class DeadLetterTopics:
    """The dead-letter topics of an address: `txwatch.ports.QuarantineStore`."""

    def __init__(self, address: KafkaAddress, environment: Mapping[str, str]) -> None:
        """Connect to nothing yet; raises ConfigurationError for settings that cannot be."""
        self._one = kafka_settings(address, environment).dead
        self._topics = address.topics
        client = client_config(address, environment)
        producer = producer_config(address, environment)
        self._office = PostOffice(producer, client, "dead letters", may_shorten=True)
        self._whole = WholeTopics(consumer_config(address, environment))

    def quarantine(self, records: Sequence[Quarantined]) -> None:
        """Write durably; raises StoreBusyError while Kafka does not take them."""
        letters = [(self._topic_of(record), letter(record)) for record in records]
        self._office.make({topic for topic, _ in letters}, _settings)
        self._office.send(letters)

    def drop(self, records: Sequence[Quarantined]) -> None:
        """Say durably that these are no longer wanted."""
        self._office.send([(self._topic_of(record), dropped(record)) for record in records])

    def quarantined(self, *, code: str | None = None, limit: int | None = 100) -> list[Quarantined]:
        """Return records, newest first; reads the topics whole."""
        found = (record for record in self._records() if code in {None, record.rejected.code})
        if limit is None:
            return sorted(found, key=_age, reverse=True)
        return heapq.nlargest(limit, found, key=_age)

    def _topic_of(self, record: Quarantined) -> str:
        return self._one or (topic_of(record.source) or self._topics[0]) + SUFFIX

    def _is_ours(self, topic: str) -> bool:
        if self._one or not topic.endswith(SUFFIX):
            return topic == self._one
        source = topic.removesuffix(SUFFIX)
        return any(re.match(each, source) if is_pattern(each) else each == source for each in self._topics)

    def _records(self) -> Iterator[Quarantined]:
        """Yield each record once, without those that were dropped after they came."""
        gone = {
            message.key(): _offset(message)
            for message in self._whole.read(self._is_ours)
            if message.value() is None
        }
        seen: set[object] = set()
        for message in self._whole.read(self._is_ours):
            key, value = message.key(), message.value()
            if value is None or key in seen or _offset(message) < gone.get(key, -1):
                continue
            record = read_letter(dict(message.headers() or ()), value)
            if record is not None:
                seen.add(key)
                yield record


def _settings() -> dict[str, str]:
    return {"retention.ms": milliseconds(KEPT), "cleanup.policy": "compact,delete"}


def _offset(message: Message) -> int:
    return message.offset() or 0


def _age(record: Quarantined) -> tuple[object, int]:
    return record.received_at, record.sequence
