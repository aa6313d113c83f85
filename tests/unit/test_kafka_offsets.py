"""How long Kafka has answered no commit."""

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from collector.kafka.offsets import Offsets
from collector.kafka.trouble import Trouble

PLACE = ("orders", 0)


class Commits:
    """A consumer that takes commits, or refuses to send them."""

    refuses = False

    def commit(self, offsets, *, asynchronous):
        assert offsets
        assert asynchronous
        if self.refuses:
            raise KafkaException(KafkaError(KafkaError._STATE))


@pytest.fixture
def clock():
    return [100.0]


@pytest.fixture
def offsets(clock):
    return Offsets(Trouble(), lambda: clock[0])


def test_waiting_begins_with_the_first_commit_that_is_not_answered(offsets, clock):
    offsets.commit(Commits(), {PLACE: 1})
    clock[0] += 5
    offsets.commit(Commits(), {PLACE: 2})
    clock[0] += 5

    assert offsets.unanswered_for() == 10


@pytest.mark.parametrize("error", [None, KafkaError(KafkaError._TRANSPORT)])
def test_any_answer_ends_waiting(offsets, clock, error):
    offsets.commit(Commits(), {PLACE: 1})
    clock[0] += 5
    offsets.answered(error, [TopicPartition(*PLACE, 1)])
    clock[0] += 5

    assert offsets.unanswered_for() == 0


def test_what_could_not_be_sent_waits_for_no_answer(offsets, clock):
    consumer = Commits()
    consumer.refuses = True
    offsets.commit(consumer, {PLACE: 1})
    clock[0] += 5

    assert offsets.unanswered_for() == 0
