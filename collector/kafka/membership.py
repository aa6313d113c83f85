"""Which partitions are this collector's: what the group gives and takes, and what must happen then.

The callbacks run inside the consumer's own calls, in the caller's thread: never during a write.  A
partition that goes is committed first, as far as it is stored, so that its next owner begins there.
"""

from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from collector.kafka.names import TopicNames
from collector.kafka.offsets import Offsets
from collector.kafka.taking import Place
from collector.kafka.trouble import Trouble
from txwatch.model import Partition

Forget = Callable[[Iterable[Partition]], None]
"""Tells the store that others may write these partitions."""


class Membership:
    """The partitions that are ours now."""

    def __init__(
        self,
        names: TopicNames,
        offsets: Offsets,
        trouble: Trouble,
        forget: Forget,
        begin: Callable[[set[Place]], None],
    ) -> None:
        """`begin` is told of every partition that is given to us, before anything of it is read."""
        self.assigned: set[Place] = set()
        self.rebalances = 0
        self._names = names
        self._offsets = offsets
        self._trouble = trouble
        self._forget = forget
        self._begin = begin
        self._gone: set[Partition] = set()
        self._paused = False
        self._left = False

    def join(self, consumer: Consumer, topics: Sequence[str]) -> None:
        """Enter the group."""
        consumer.subscribe(list(topics), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose)

    def leave(self) -> None:
        """Give up all partitions; what the group still says to this membership no longer counts."""
        self._left = True
        self._leave_behind(_listed(self.assigned))
        self.assigned = set()

    def pause(self, consumer: Consumer) -> None:
        """Let nothing more be fetched."""
        if not self._paused:
            consumer.pause(_listed(self.assigned))
        self._paused = True

    def resume(self, consumer: Consumer) -> None:
        """Let messages come again, from where they stopped."""
        if self._paused:
            consumer.resume(_listed(self.assigned))
        self._paused = False

    def gone(self) -> set[Partition]:
        """Return, once, what was taken from us since this was asked last."""
        gone, self._gone = self._gone, set()
        return gone

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        if self._paused:
            consumer.pause(_listed(_places(partitions)))
        self.rebalances += 1
        self.assigned |= _places(partitions)
        self._begin(_places(partitions))
        self._leave_behind(partitions)
        self._names.doubt(each.topic for each in partitions)

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._left:
            return
        try:
            self._offsets.commit_now(consumer, _places(partitions))
        except KafkaException as error:
            self._trouble.note(error.args[0])
        self._lose(consumer, partitions)

    def _lose(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._left:
            return
        consumer.incremental_unassign(partitions)
        self.rebalances += 1
        self.assigned -= _places(partitions)
        self._leave_behind(partitions)

    def _leave_behind(self, partitions: list[TopicPartition]) -> None:
        """Know nothing of partitions that others had or will have."""
        named = {(self._names.known(each.topic), each.partition) for each in partitions}
        known = {Partition(name, number) for name, number in named if name is not None}
        self._gone |= known
        self._forget(known)
        self._offsets.forget(_places(partitions))


def _places(partitions: Iterable[TopicPartition]) -> set[Place]:
    return {(each.topic, each.partition) for each in partitions}


def _listed(places: Iterable[Place]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for topic, partition in places]
