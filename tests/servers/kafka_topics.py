"""Topics of a test's own in a real Kafka, and the fixture `topics` that makes them."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kafka_server import KafkaServer


def message(number: int, **changed: object) -> bytes:
    """Return a good message of just now; `changed` replaces or, with None, removes fields."""
    usual = {
        "transaction_id": f"t{number}",
        "timestamp": datetime.now(UTC).isoformat(),
        "user_id": f"u{number % 97}",
        "merchant_id": f"m{number % 11}",
        "amount": 1 + number % 500,
        "currency": "EUR",
    }
    return json.dumps(
        {name: value for name, value in (usual | changed).items() if value is not None}
    ).encode()


class Topics:
    """Makes topics with names of their own, and looks into them."""

    def __init__(self, kafka: KafkaServer, settings: Mapping[str, object] | None = None) -> None:
        self.kafka = kafka
        self.settings = {"bootstrap.servers": kafka.address, "log_level": 0, **(settings or {})}
        self._admin = AdminClient(dict(self.settings))

    def make(self, partitions: int = 1, name: str = "", **config: str) -> str:
        """Make a topic; returns its name."""
        name = name or f"payments-{uuid.uuid4().hex[:8]}"
        settings = {key.replace("_", "."): value for key, value in config.items()}
        for made in self._admin.create_topics([NewTopic(name, partitions, 1, config=settings)]).values():
            made.result(30)
        self._wait(lambda: self._is_led(name))
        return name

    def delete(self, name: str) -> None:
        """Delete a topic and wait until it is gone."""
        for done in self._admin.delete_topics([name]).values():
            done.result(30)
        self._wait(lambda: name not in self.names())

    def names(self) -> set[str]:
        """Return all topics there are."""
        return set(self._admin.list_topics(timeout=30).topics)

    def address(self, *names: str, **options: object) -> str:
        """Return topics as the collector's source; every option is a setting of the address."""
        told = {"group": names[0].strip("^"), **options}
        query = "&".join(f"{name}={value}" for name, value in told.items())
        return f"kafka://{self.kafka.address}/{','.join(names)}?{query}"

    def produce(self, name: str, values: Iterable[bytes], partitions: int = 1) -> None:
        """Send values to the partitions in turn; returns when all are acknowledged."""
        producer = Producer({**self.settings, "linger.ms": 5, "message.max.bytes": 20_000_000})
        for number, value in enumerate(values):
            producer.produce(name, value, partition=number % partitions)
            producer.poll(0)
        assert producer.flush(60) == 0

    def read(self, name: str) -> list[Message]:
        """Return everything that a topic of one partition holds now."""
        settings = {"group.id": "look", "auto.offset.reset": "earliest", "enable.partition.eof": True}
        consumer = Consumer({**self.settings, **settings})
        consumer.assign([TopicPartition(name, 0, 0)])
        found: list[Message] = []
        while not any(each.error() for each in found):
            found += consumer.consume(1000, 0.1)
        consumer.close()
        return [each for each in found if not each.error()]

    def committed(self, group: str, name: str, partitions: int = 1) -> list[int]:
        """Return where a group goes on in each partition; negative where it committed nothing."""
        consumer = Consumer({**self.settings, "group.id": group})
        try:
            asked = [TopicPartition(name, number) for number in range(partitions)]
            return [each.offset for each in consumer.committed(asked, timeout=30)]
        finally:
            consumer.close()

    def _is_led(self, name: str) -> bool:
        found = self._admin.list_topics(name, timeout=30).topics[name]
        return found.error is None and all(each.leader >= 0 for each in found.partitions.values())

    def _wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if done():
                    return
            except KafkaException:
                pass
            time.sleep(0.02)
        raise AssertionError("Kafka does not get there within 30 s")


@pytest.fixture
def topics(kafka: KafkaServer) -> Iterator[Topics]:
    """Topics in the real Kafka: `topics.make()`."""
    return Topics(kafka)
