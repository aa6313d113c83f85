"""Topics read from their beginning to where they end now, by nobody's group."""

import time
from collections.abc import Callable, Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from collector.kafka.clients import opened
from collector.kafka.settings import Config
from txwatch.errors import StoreError

ANSWERED_WITHIN = 8.0
SILENT_SECONDS = 15.0
"""After so long without a message or an end, reading is given up."""

_END = KafkaError._PARTITION_EOF  # noqa: SLF001 - the library's public constant


class WholeTopics:
    """Reads topics whole; `consumer` is librdkafka's configuration."""

    def __init__(self, consumer: Config) -> None:
        self._config: Config = consumer | {"enable.partition.eof": True, "statistics.interval.ms": 0}

    def read(self, wanted: Callable[[str], bool]) -> Iterator[Message]:
        """Yield what the topics of these names hold, each partition in order; raises StoreError."""
        consumer = opened(Consumer, self._config)
        try:
            places = _partitions(consumer, wanted)
            consumer.assign(places)
            yield from _until_the_end(consumer, len(places))
        except KafkaException as error:
            raise StoreError(f"the dead letters cannot be read: {error.args[0].str()}") from error
        finally:
            consumer.close()


def _partitions(consumer: Consumer, wanted: Callable[[str], bool]) -> list[TopicPartition]:
    known = consumer.list_topics(timeout=ANSWERED_WITHIN).topics
    return [
        TopicPartition(topic, number, 0)
        for topic in sorted(filter(wanted, known))
        for number in known[topic].partitions
    ]


def _until_the_end(consumer: Consumer, partitions: int) -> Iterator[Message]:
    ended: set[object] = set()
    deadline = time.monotonic() + SILENT_SECONDS
    while len(ended) < partitions:
        if time.monotonic() > deadline:
            raise StoreError("the dead letters cannot be read: Kafka is silent")
        for message in consumer.consume(1000, 0.2):
            deadline = time.monotonic() + SILENT_SECONDS
            error = message.error()
            if error is None:
                yield message
            elif error.code() == _END:
                ended.add((message.topic(), message.partition()))
            else:
                raise KafkaException(error)
