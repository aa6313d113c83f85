"""Topics as a source of transactions: messages in, columns with identities out, offsets back."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec
import polars as pl
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from collector.decode import Decoder
from collector.kafka.clients import opened
from collector.kafka.intake import Intake, place_of
from collector.kafka.lag import Lag
from collector.kafka.membership import Forget, Membership
from collector.kafka.names import TopicNames
from collector.kafka.offsets import Offsets
from collector.kafka.settings import Config
from collector.kafka.taking import Messages, messages_of, take, went_back, without
from collector.kafka.trouble import Trouble
from collector.live import decoding
from collector.source import Collected
from txwatch.columns import POSITION, TRANSACTION
from txwatch.errors import ConfigurationError, InputError
from txwatch.model import Partition
from txwatch.ports import Figure, QuarantineStore

ASSIGNED_WITHIN = 30.0
"""Seconds until a run to the end gives up waiting for its first partition."""

CLOSED_WITHIN = 5.0

ANSWERED_WITHIN = 60.0
"""Seconds after which a commit is not answered any more, while messages arrive."""

GLANCE_SECONDS = 0.2

_NO_ROWS = pl.DataFrame(schema=POSITION | TRANSACTION)


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
    what was read of a partition that goes is dropped: its next owner reads it again.  A topic made anew is
    read from its beginning, as another source.  Where Kafka sends messages and answers no commit, the group
    is joined anew, and what was not committed comes again and is known.
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
        self._reading = reading
        self._forget = forget
        self._trouble = Trouble()
        self._names = TopicNames(opened(AdminClient, reading.client), reading.epoch)
        self._join()
        self._rebalances_seen = 0
        self._closed = False

    def read(self, limit: int) -> Collected:
        """Return what is there now; with `until_end`, wait a little for messages or the end."""
        self._membership.resume(self._consumer)
        found = self._read(limit, GLANCE_SECONDS if self._reading.until_end else 0.0)
        self._membership.gone()
        if not found.positions:
            self._offsets.commit(self._consumer, {})
        elif self._offsets.unanswered_for() > ANSWERED_WITHIN:
            self._join_anew()
            return self._nothing()
        return found

    def hold(self, pending: Collected) -> Collected:
        """Stay in the group while nothing can be written; returns what of `pending` is still ours."""
        self._membership.pause(self._consumer)
        self._intake.stay()
        gone = self._membership.gone()
        return without(pending, gone) if gone else pending

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Tell Kafka that everything before these offsets is stored or in quarantine."""
        ours = {
            (self._names.known(topic), number): (topic, number) for topic, number in self._membership.assigned
        }
        moved = {ours[place]: offset for place, offset in positions.items() if place in ours}
        self._offsets.commit(self._consumer, moved)

    def figures(self) -> tuple[Figure, ...]:
        """Return lag by partition, partitions, rebalances and errors."""
        return (
            Figure(name="kafka_partitions", value=len(self._membership.assigned)),
            Figure(name="kafka_rebalances_total", value=self._membership.rebalances),
            *self._lag.figures(self._membership.assigned),
            *(
                Figure(name="kafka_errors_total", value=count, labels={"error": error})
                for error, count in sorted(self._trouble.counts.items())
            ),
        )

    def trouble(self) -> str:
        """Return what Kafka complains about, nothing if all is well."""
        return self._trouble.sentence(lasting=not self._membership.assigned)

    def close(self) -> None:
        """Commit what is stored and leave the group, so that others take over at once.

        The library would wait for a Kafka that is away for as long as it takes; we do not: the group
        notices by itself, and what was not committed comes again and is known.
        """
        if self._closed:
            return
        self._closed = True
        self._leave().join(CLOSED_WITHIN)

    def _join(self) -> None:
        self._offsets = Offsets(self._trouble)
        self._lag = Lag()
        callbacks = {
            "error_cb": self._trouble.note,
            "on_commit": self._offsets.answered,
            "stats_cb": self._lag.heard,
        }
        config = self._reading.consumer | {"enable.partition.eof": self._reading.until_end}
        self._consumer = opened(Consumer, config | callbacks)
        self._intake = Intake(self._consumer, self._trouble)
        self._membership = Membership(
            self._names, self._offsets, self._trouble, self._forget, self._intake.begin
        )
        self._membership.join(self._consumer, self._reading.topics)
        self._deadline = time.monotonic() + ASSIGNED_WITHIN

    def _join_anew(self) -> None:
        """Leave the group and come back as another consumer; nobody waits for the old one to be gone."""
        rebalances = self._membership.rebalances
        self._membership.leave()
        self._leave()
        self._join()
        self._membership.rebalances = rebalances + 1

    def _leave(self) -> threading.Thread:
        leaving = threading.Thread(target=self._consumer.close, name="leave Kafka", daemon=True)
        leaving.start()
        return leaving

    def _read(self, limit: int, wait: float) -> Collected:
        messages = self._intake.take(limit, wait)
        self._refuse_to_wait()
        messages = self._still_mine(messages)
        if not messages:
            self._names.look()
            self._begin_anew()
            return self._nothing()
        return self._taken(messages)

    def _still_mine(self, messages: list[Message]) -> list[Message]:
        """Drop what was read of partitions that went meanwhile; the next owner reads it again."""
        if self._membership.rebalances == self._rebalances_seen:
            return messages
        self._rebalances_seen = self._membership.rebalances
        return [each for each in messages if place_of(each) in self._membership.assigned]

    def _taken(self, messages: list[Message]) -> Collected:
        columns = _columns(messages)
        self._names.doubt(went_back(columns, self._offsets.stored))
        self._names.look()
        try:
            names = self._names.of(set(columns.places["topic"].unique()))
        except KafkaException as error:
            self._trouble.note(error.args[0])
            self._intake.put_back(messages)
            return self._nothing()
        if anew := self._begin_anew():
            self._intake.put_back([each for each in messages if each.topic() not in anew])
            return self._nothing()
        decode = decoding(self._decoder, self._reading.keep, self._now())
        collected = take(columns, names, decode, self._now())
        return msgspec.structs.replace(collected, waiting=self._waiting())

    def _begin_anew(self) -> set[str]:
        """Go to the beginning of topics that were made anew; what was read of them may have skipped some."""
        anew = self._names.anew()
        places = {place for place in self._membership.assigned if place[0] in anew}
        for place in places:
            self._consumer.seek(TopicPartition(*place, OFFSET_BEGINNING))
        self._offsets.forget(places)
        self._intake.forget(anew)
        self._intake.begin(places)
        return anew

    def _is_at_end(self) -> bool:
        assigned = self._membership.assigned
        return bool(assigned) and assigned <= self._intake.ended and not self._intake.kept

    def _nothing(self) -> Collected:
        finished = self._reading.until_end and self._is_at_end()
        return Collected(rows=_NO_ROWS, finished=finished, expecting=self._reading.until_end and not finished)

    def _refuse_to_wait(self) -> None:
        """Raise where waiting does not help: refused before the first partition, or a run without an end."""
        if self._membership.rebalances == 0 and self._trouble.refusal:
            raise ConfigurationError(self._trouble.refusal)
        if self._reading.until_end and not self._membership.assigned and time.monotonic() > self._deadline:
            raise InputError(self.trouble() or "the consumer group gave this collector no partition")

    def _waiting(self) -> int:
        return sum(self._lag.of(self._membership.assigned).values())


def _columns(messages: list[Message]) -> Messages:
    topics = [each.topic() for each in messages]
    partitions = [each.partition() for each in messages]
    offsets = [each.offset() for each in messages]
    values = [each.value() or b"" for each in messages]
    return messages_of(topics, partitions, offsets, values)  # type: ignore[arg-type] # what was consumed has a place
