"""How far everything is stored, and telling Kafka so.

A commit is sent without waiting for its answer; one that fails is sent again with the next.  Until it
arrives, a crash only makes messages come again that are known by their identity.  librdkafka may leave one
without an answer for good, after the group's coordinator died: how long we wait is known, so that somebody
can join the group anew.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from collector.kafka.taking import Place
from collector.kafka.trouble import Trouble

_NOTHING_TO_DO = KafkaError._NO_OFFSET  # noqa: SLF001 - the library's public constant


class Offsets:
    """The next offset of each partition of ours in which something was stored."""

    def __init__(self, trouble: Trouble, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` gives seconds."""
        self.stored: dict[Place, int] = {}
        self._trouble = trouble
        self._monotonic = monotonic
        self._owed: set[Place] = set()
        self._asked_at: float | None = None

    def answered(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Take note of Kafka's answer to a commit: the consumer's `on_commit`."""
        self._asked_at = None
        failed = [each for each in partitions if error is not None or each.error is not None]
        for each in failed:
            self._owed.add((each.topic, each.partition))
        reason = error or next((each.error for each in failed), None)
        if reason is not None and reason.code() != _NOTHING_TO_DO:
            self._trouble.note(reason)

    def commit(self, consumer: Consumer, moved: Mapping[Place, int]) -> None:
        """Commit without waiting, together with what is owed from before."""
        self.stored |= moved
        due = (self._owed | moved.keys()) & self.stored.keys()
        self._owed = set()
        if due:
            self._send(consumer, due)

    def commit_now(self, consumer: Consumer, places: Iterable[Place]) -> None:
        """Commit and wait for the answer; raises KafkaException."""
        due = self.stored.keys() & set(places)
        if due:
            consumer.commit(offsets=self._listed(due), asynchronous=False)

    def unanswered_for(self) -> float:
        """Return for how many seconds Kafka has answered no commit that waits for its answer."""
        return 0.0 if self._asked_at is None else self._monotonic() - self._asked_at

    def forget(self, places: Iterable[Place]) -> None:
        """Leave these partitions to their next owner."""
        for place in places:
            self.stored.pop(place, None)

    def _send(self, consumer: Consumer, due: set[Place]) -> None:
        try:
            consumer.commit(offsets=self._listed(due), asynchronous=True)
        except KafkaException as error:
            self._owed |= due
            self._trouble.note(error.args[0])
        else:
            self._asked_at = self._monotonic() if self._asked_at is None else self._asked_at

    def _listed(self, places: Iterable[Place]) -> list[TopicPartition]:
        return [TopicPartition(topic, number, self.stored[topic, number]) for topic, number in places]
