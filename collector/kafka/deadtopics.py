"""The quarantine as Kafka topics: what was rejected of `payments` goes to `payments.dead`.

Guarantee: `quarantine` returns when every record is acknowledged by all replicas (`acks=all`), and only
then is the offset committed.  Lost: nothing.  Twice: a crash in between writes a record again under the
same key; reading gives the first one alone.  What Kafka does not take for its length is shortened: the
headers keep the length and the SHA-256 of the whole.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from collector.kafka.address import KafkaAddress
from collector.kafka.letters import Letter, dropped, letter, read_letter
from collector.kafka.names import topic_of
from collector.kafka.settings import (
    client_config,
    consumer_config,
    explain,
    kafka_settings,
    producer_config,
)
from txwatch.errors import ConfigurationError, StoreBusyError, StoreError
from txwatch.model import Quarantined

SUFFIX = ".dead"
DELIVERED_WITHIN = 40.0
"""Seconds for a batch; above librdkafka's own `delivery.timeout.ms`, which reports what it gave up."""

ANSWERED_WITHIN = 10.0
IN_QUEUE_KBYTES = 65_536
KEPT = timedelta(days=30)
"""How long Kafka keeps dead letters, where the topic is made here."""

_END = KafkaError._PARTITION_EOF  # noqa: SLF001 - the library's public constant
_FOR_GOOD = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
    }
)

Failures = list[tuple[str, Letter, KafkaError]]


class DeadLetterTopics:
    """The dead-letter topics of an address: `txwatch.ports.QuarantineStore`."""

    def __init__(self, address: KafkaAddress, environment: Mapping[str, str]) -> None:
        """Connect to nothing yet; raises ConfigurationError for settings that cannot be."""
        self._address = address
        self._environment = environment
        configured = kafka_settings(address, environment).dead
        self._topics = {topic: configured or topic + SUFFIX for topic in address.topics}
        self._producer: Producer | None = None

    def quarantine(self, records: Sequence[Quarantined]) -> None:
        """Write durably; raises StoreBusyError while Kafka does not take them."""
        self._deliver([(self._topic_of(record), letter(record)) for record in records])

    def drop(self, records: Sequence[Quarantined]) -> None:
        """Say that these are no longer wanted: they are read no more, and deleted where Kafka compacts."""
        self._deliver([(self._topic_of(record), dropped(record)) for record in records])

    def quarantined(self, *, code: str | None = None, limit: int | None = 100) -> list[Quarantined]:
        """Return records, newest first; reads the topics whole."""
        found = (record for record in self._records() if code in {None, record.rejected.code})
        if limit is None:
            return sorted(found, key=_age, reverse=True)
        return heapq.nlargest(limit, found, key=_age)

    def close(self) -> None:
        """Give back the connection; safe to call twice.  Nothing is on its way any more."""
        self._producer = None

    def _topic_of(self, record: Quarantined) -> str:
        return self._topics.get(topic_of(record.source)) or next(iter(self._topics.values()))

    def _deliver(self, letters: Sequence[tuple[str, Letter]]) -> None:
        while letters:
            failures = self._send(letters)
            letters = []
            for topic, each, error in failures:
                if error.code() != KafkaError.MSG_SIZE_TOO_LARGE or not each.value:
                    raise self._refusal(topic, error)
                letters.append((topic, each.shortened()))

    def _send(self, letters: Sequence[tuple[str, Letter]]) -> Failures:
        """Send and wait; returns what was not taken."""
        producer, failures = self._producing(), Failures()
        for topic, each in letters:
            _produce(producer, topic, each, failures)
        left = producer.flush(DELIVERED_WITHIN)
        if left:
            producer.purge()
            producer.flush(1)
            self._producer = None
            raise StoreBusyError(f"Kafka does not take {left} dead letters")
        return failures

    def _refusal(self, topic: str, error: KafkaError) -> StoreError:
        self._producer = None
        kind = StoreError if error.code() in _FOR_GOOD else StoreBusyError
        return kind(f"Kafka does not take dead letters in {topic}: {error.str()}")

    def _producing(self) -> Producer:
        if self._producer is None:
            config = producer_config(self._address, self._environment)
            with_bound = {"queue.buffering.max.kbytes": IN_QUEUE_KBYTES, **config}
            self._make_topics()
            self._producer = Producer(with_bound)
        return self._producer

    def _make_topics(self) -> None:
        """Make the topics that are missing; whether we may is seen when something is sent."""
        config = {"retention.ms": str(KEPT // timedelta(milliseconds=1)), "cleanup.policy": "compact,delete"}
        try:
            admin = AdminClient(dict(client_config(self._address, self._environment)))
        except KafkaException as error:
            raise ConfigurationError(explain(error.args[0].str())) from error
        topics = sorted(set(self._topics.values()))
        present = self._present(admin)
        missing = [NewTopic(topic, 1, -1, config=config) for topic in topics if topic not in present]
        for made in admin.create_topics(missing, request_timeout=ANSWERED_WITHIN).values() if missing else ():
            made.exception()

    def _present(self, admin: AdminClient) -> set[str]:
        try:
            return set(admin.list_topics(timeout=ANSWERED_WITHIN).topics)
        except KafkaException as error:
            raise StoreBusyError(f"Kafka does not answer: {error.args[0].str()}") from error

    def _records(self) -> Iterator[Quarantined]:
        """Yield each record once, without those that were dropped after they came."""
        gone: dict[object, int] = {}
        for message in self._letters():
            if message.value() is None:
                gone[message.key()] = _offset(message)
        seen: set[object] = set()
        for message in self._letters():
            key, value = message.key(), message.value()
            if value is None or key in seen or _offset(message) < gone.get(key, -1):
                continue
            record = read_letter(dict(message.headers() or ()), value)
            if record is not None:
                seen.add(key)
                yield record

    def _letters(self) -> Iterator[Message]:
        """Yield what the topics hold now, each partition in order; a key is always in the same partition."""
        config = consumer_config(self._address, self._environment) | {"enable.partition.eof": True}
        try:
            consumer = Consumer(config)
        except KafkaException as error:
            raise ConfigurationError(explain(error.args[0].str())) from error
        try:
            places = _partitions(consumer, set(self._topics.values()))
            consumer.assign(places)
            yield from _until_the_end(consumer, len(places))
        except KafkaException as error:
            raise StoreError(f"the dead letters cannot be read: {error.args[0].str()}") from error
        finally:
            consumer.close()


def _produce(producer: Producer, topic: str, each: Letter, failures: Failures) -> None:
    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append((topic, each, error))

    while True:
        try:
            producer.produce(topic, each.value, each.key, headers=list(each.headers), on_delivery=delivered)
        except BufferError:
            producer.poll(0.1)
        except KafkaException as error:
            return failures.append((topic, each, error.args[0]))
        else:
            producer.poll(0)
            return None


def _partitions(consumer: Consumer, topics: Iterable[str]) -> list[TopicPartition]:
    known = consumer.list_topics(timeout=ANSWERED_WITHIN).topics
    return [
        TopicPartition(topic, number, 0)
        for topic in sorted(topics)
        if topic in known
        for number in known[topic].partitions
    ]


def _until_the_end(consumer: Consumer, partitions: int) -> Iterator[Message]:
    ended: set[object] = set()
    while len(ended) < partitions:
        for message in consumer.consume(1000, 0.2):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == _END:
                ended.add((message.topic(), message.partition()))
            else:
                raise KafkaException(error)


def _offset(message: Message) -> int:
    return message.offset() or 0


def _age(record: Quarantined) -> tuple[object, int]:
    return record.received_at, record.sequence
