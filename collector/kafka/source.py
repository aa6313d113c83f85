"""Topics as a source.

Guarantee: every message of the topics is read at least once and known by (topic and id, partition, offset),
so it is stored once.  In which order: read, and only after the acknowledged write is the offset committed.
Lost: what Kafka deletes before it was read (retention); nothing else.  Twice: nothing; a crash, a
rebalance or a lost commit makes messages come again, and the store knows them.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

import msgspec
import polars as pl
from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka.admin import AdminClient

from collector.batch import decode_batch
from collector.decode import Decoder
from collector.kafka.lag import Lag
from collector.kafka.membership import Forget, Membership
from collector.kafka.names import TopicNames
from collector.kafka.offsets import Offsets
from collector.kafka.settings import Config, explain
from collector.kafka.taking import Decode, Messages, Place, messages_of, take, went_back, without
from collector.kafka.trouble import Trouble
from collector.live import decode_live, live_window
from collector.source import Collected
from txwatch.columns import POSITION, TRANSACTION
from txwatch.errors import ConfigurationError, InputError
from txwatch.model import Partition
from txwatch.ports import QuarantineStore

SLICE = 1_000
"""Messages taken at once, between two looks at how many bytes that makes."""

MOST_BYTES = 32 * 1024 * 1024
"""A batch ends at so many bytes of messages, however few they are."""

ASSIGNED_WITHIN = 30.0
"""Seconds until a run to the end gives up waiting for its first partition."""

GLANCE_SECONDS = 0.2

_END = KafkaError._PARTITION_EOF  # noqa: SLF001 - the library's public constant


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What is read, and as whom: `consumer` and `client` are librdkafka's configurations."""

    topics: tuple[str, ...]
    consumer: Config
    client: Config
    keep: timedelta | None = None
    """How far back an event time may lie; None is any time at all."""
    epoch: str = "0"
    """In place of the topic's id, where brokers have none."""
    until_end: bool = False
    """Finish where the topics end now."""


class KafkaSource:
    """Reads topics as a member of a consumer group.

    Back-pressure: while the collector holds what it could not write yet, all partitions are paused and the
    group still hears of us; at most one batch and librdkafka's bounded queue are in memory.  On a rebalance
    what was read of a partition that goes is dropped: its next owner reads it again.
    """

    def __init__(
        self,
        reading: Reading,
        decoder: Decoder,
        now: Callable[[], datetime],
        *,
        forget: Forget = lambda _: None,
        dead_letters: QuarantineStore | None = None,
    ) -> None:
        """Join the group; `forget` tells the store that others may write these partitions."""
        self.dead_letters = dead_letters
        self._decoder = decoder
        self._now = now
        self._keep = reading.keep
        self._until_end = reading.until_end
        self._trouble = Trouble()
        self._offsets = Offsets(self._trouble)
        self._lag = Lag()
        try:
            self._names = TopicNames(AdminClient(dict(reading.client)), reading.epoch)
            self._consumer: Consumer = Consumer(
                {
                    **reading.consumer,
                    "enable.partition.eof": reading.until_end,
                    "error_cb": self._trouble.note,
                    "on_commit": self._offsets.answered,
                }
            )
        except KafkaException as error:
            raise ConfigurationError(explain(error.args[0].str())) from error
        self._membership = Membership(self._names, self._offsets, self._trouble, forget)
        self._membership.join(self._consumer, reading.topics)
        self._unnamed: list[Message] = []
        self._rebalances_seen = 0
        self._ended: set[Place] = set()
        self._deadline = time.monotonic() + ASSIGNED_WITHIN
        self._closed = False

    def read(self, limit: int) -> Collected:
        """Return what is there now; with `until_end`, wait for messages or the end."""
        self._membership.resume(self._consumer)
        messages = self._gather(limit)
        while not messages and self._until_end and not self._is_at_end():
            self._refuse_to_wait()
            messages = self._gather(limit, GLANCE_SECONDS)
        self._refuse_to_wait()
        self._membership.gone()
        mine = self._still_mine(messages)
        if not mine:
            self._offsets.commit(self._consumer, {})
            return _nothing(finished=self._until_end and self._is_at_end())
        return self._taken(mine)

    def hold(self, pending: Collected) -> Collected:
        """Stay in the group while nothing can be written; returns what of `pending` is still ours."""
        self._membership.pause(self._consumer)
        message = self._consumer.poll(0)
        if message is not None and self._is_good(message):
            self._unnamed.append(message)
        gone = self._membership.gone()
        return without(pending, gone) if gone else pending

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Tell Kafka that everything before these offsets is stored or in quarantine."""
        ours = {
            (self._names.known(topic), number): (topic, number) for topic, number in self._membership.assigned
        }
        moved = {ours[place]: offset for place, offset in positions.items() if place in ours}
        self._offsets.commit(self._consumer, moved)

    def figures(self) -> dict[str, float]:
        """Return lag by partition, partitions, rebalances and errors."""
        lag = self._waiting()
        labelled = {
            f'kafka_lag{{topic="{topic}",partition="{number}"}}': float(count)
            for (topic, number), count in sorted(lag.items())
        }
        return labelled | {
            "kafka_partitions": float(len(self._membership.assigned)),
            "kafka_rebalances_total": float(self._membership.rebalances),
            "kafka_errors_total": float(self._trouble.count),
        }

    def trouble(self) -> str:
        """Return what Kafka complains about, nothing if all is well."""
        return self._trouble.sentence()

    def close(self) -> None:
        """Commit what is stored and leave the group, so that others take over at once."""
        if self._closed:
            return
        self._closed = True
        self._consumer.close()

    def _gather(self, limit: int, wait: float = 0.0) -> list[Message]:
        """Return messages, bounded in number and bytes; those that had to wait for their name go first."""
        messages, self._unnamed = self._unnamed, []
        size = sum(map(len, messages))
        while len(messages) < limit and size < MOST_BYTES:
            arrived = self._consumer.consume(min(SLICE, limit - len(messages)), wait)
            good = [each for each in arrived if each.error() is None or self._is_good(each)]
            messages += good
            size += sum(map(len, good))
            if not arrived or wait:
                break
        return messages

    def _still_mine(self, messages: list[Message]) -> list[Message]:
        """Drop what was read of partitions that went meanwhile; the next owner reads it again."""
        if self._membership.rebalances == self._rebalances_seen:
            return messages
        self._rebalances_seen = self._membership.rebalances
        return [each for each in messages if _place(each) in self._membership.assigned]

    def _taken(self, messages: list[Message]) -> Collected:
        columns = _columns(messages)
        self._names.doubt(went_back(columns, self._offsets.stored))
        try:
            names = self._names.of(set(columns.places["topic"].unique()))
        except KafkaException as error:
            self._trouble.note(error.args[0])
            self._unnamed = messages
            return _nothing(finished=False)
        collected = take(columns, names, self._decode(), self._now())
        return msgspec.structs.replace(collected, waiting=sum(self._waiting().values()))

    def _decode(self) -> Decode:
        if self._keep is None:
            return partial(decode_batch, decoder=self._decoder)
        return partial(decode_live, decoder=self._decoder, window=live_window(self._now(), self._keep))

    def _is_good(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() == _END:
            self._ended.add(_place(message))
        else:
            self._trouble.note(error)
        return False

    def _is_at_end(self) -> bool:
        assigned = self._membership.assigned
        return bool(assigned) and assigned <= self._ended

    def _refuse_to_wait(self) -> None:
        """Raise where waiting does not help: refused before the first partition, or a run without an end."""
        never = self._membership.rebalances == 0
        if never and self._trouble.refusal:
            raise ConfigurationError(self._trouble.refusal)
        if never and self._until_end and time.monotonic() > self._deadline:
            raise InputError(self.trouble() or "the consumer group gave this collector no partition")

    def _waiting(self) -> dict[Place, int]:
        if self._closed:
            return {}
        return self._lag.of(self._consumer, self._membership.assigned, self._offsets.stored)


def _columns(messages: list[Message]) -> Messages:
    topics = [each.topic() for each in messages]
    partitions = [each.partition() for each in messages]
    offsets = [each.offset() for each in messages]
    values = [each.value() or b"" for each in messages]
    return messages_of(topics, partitions, offsets, values)  # type: ignore[arg-type] # what was consumed has a place


def _place(message: Message) -> Place:
    return message.topic(), message.partition()  # type: ignore[return-value] # what was consumed has both


def _nothing(*, finished: bool) -> Collected:
    return Collected(rows=pl.DataFrame(schema=POSITION | TRANSACTION), finished=finished)
