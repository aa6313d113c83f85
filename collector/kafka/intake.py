"""Messages out of the consumer, bounded in number and bytes."""

from confluent_kafka import Consumer, KafkaError, Message

from collector.kafka.taking import Place
from collector.kafka.trouble import Trouble

SLICE = 1_000
"""Messages taken at once, between two looks at how many bytes that makes."""

MOST_BYTES = 32 * 1024 * 1024
"""A batch ends at so many bytes of messages, however few they are."""

_END = KafkaError._PARTITION_EOF  # noqa: SLF001 - the library's public constant


class Intake:
    """Takes what is there; what cannot be used yet is put back and comes first the next time."""

    def __init__(self, consumer: Consumer, trouble: Trouble) -> None:
        self.ended: set[Place] = set()
        """Partitions whose end was reached once; only a consumer that is told of ends fills it."""
        self.kept: list[Message] = []
        """What was put back."""
        self._consumer = consumer
        self._trouble = trouble

    def take(self, limit: int, wait: float = 0.0) -> list[Message]:
        """Return at most about `limit` messages; waits so many seconds for the first."""
        messages, self.kept = self.kept, []
        size = sum(map(len, messages))
        while len(messages) < limit and size < MOST_BYTES:
            patience = 0.0 if messages else wait
            arrived = self._consumer.consume(min(SLICE, limit - len(messages)), patience)
            good = [each for each in arrived if each.error() is None or self._is_good(each)]
            messages += good
            size += sum(map(len, good))
            if not arrived:
                break
        if messages:
            self._trouble.over()
        return messages

    def begin(self, places: set[Place]) -> None:
        """Take note that these partitions are read from somewhere else now: their end is to come."""
        self.ended -= places

    def put_back(self, messages: list[Message]) -> None:
        """Keep messages for the next time."""
        self.kept = messages

    def stay(self) -> None:
        """Let the group hear of us while everything is paused."""
        message = self._consumer.poll(0)
        if message is not None and self._is_good(message):
            self.kept.append(message)

    def forget(self, topics: set[str]) -> None:
        """Drop what was put back of these topics."""
        self.kept = [each for each in self.kept if each.topic() not in topics]

    def _is_good(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == _END:
            self.ended.add(place_of(message))
        else:
            self._trouble.note(error)
        return False


def place_of(message: Message) -> Place:
    """Return topic and partition of a message."""
    return message.topic(), message.partition()  # type: ignore[return-value] # what was consumed has both
