"""A collector as one member of a Kafka consumer group: others come and go, stores are slow, topics change."""

import time

import pytest
from kafka_collecting import Collecting, TellingStore
from kafka_topics import message


@pytest.fixture
def open_collector(request):
    def opened(address, store=None, **options):
        collector = Collecting(address, store or TellingStore(), **options)
        request.addfinalizer(collector.close)
        return collector

    return opened


def messages(first, count):
    return [message(number) for number in range(first, first + count)]


def ids(count):
    return sorted(f"t{number}" for number in range(count))


def test_collectors_that_join_and_leave_lose_and_double_nothing(topics, open_collector):
    """Partitions move while messages come; each is stored once, and the figures tell who has how many."""
    topic, store = topics.make(partitions=4), TellingStore()
    first = open_collector(topics.address(topic), store)
    topics.produce(topic, messages(0, 4_000), 4)
    first.until(lambda: first.has(1))

    second = open_collector(topics.address(topic), store)
    topics.produce(topic, messages(4_000, 4_000), 4)
    first.until(lambda: first.partitions == second.partitions == 2, second)
    topics.produce(topic, messages(8_000, 4_000), 4)
    first.until(lambda: first.has(12_000), second)
    shared = len(first.service.health().labelled) > 0 and second.service.health().sentence
    first.close()
    topics.produce(topic, messages(12_000, 4_000), 4)
    second.until(lambda: second.has(16_000) and second.partitions == 4)

    assert store.ids == ids(16_000)
    assert shared != "0 stored, 0 in quarantine"
    assert first.figure("kafka_rebalances_total") >= 2


def test_a_partition_that_went_is_no_longer_written_by_its_former_owner(topics, open_collector):
    """What waits for a busy store is given up when its partition goes, and written by the next owner."""
    topic, store = topics.make(partitions=2), TellingStore()
    topics.produce(topic, messages(0, 1_000), 2)
    first = open_collector(topics.address(topic), store)
    store.busy = True
    first.until(lambda: "the store is slow" in first.service.health().sentence)

    second = open_collector(topics.address(topic), store)
    first.until(lambda: first.partitions == second.partitions == 1, second)
    store.busy = False
    first.until(lambda: first.has(1_000), second)

    assert store.ids == ids(1_000)
    assert len(store.given) == 1_000


def test_while_the_store_is_slow_memory_is_bounded_and_the_group_keeps_us(topics, open_collector):
    """Partitions are paused after one batch; longer than the group's patience later, they are still ours."""
    topic, store = topics.make(partitions=2), TellingStore()
    topics.produce(topic, messages(0, 10_000), 2)
    address = topics.address(topic, **{"session.timeout.ms": 6_000, "max.poll.interval.ms": 6_000})
    collector = open_collector(address, store)
    store.busy = True
    collector.until(lambda: "the store is slow" in collector.service.health().sentence)
    over = time.monotonic() + 8.0
    collector.until(lambda: time.monotonic() > over)

    read = collector.source._intake
    assert len(read.kept) <= 2
    assert collector.figure("kafka_rebalances_total") == 1
    store.busy = False
    collector.until(lambda: collector.has(10_000))
    assert store.ids == ids(10_000)
    assert len(store.given) == 10_000


@pytest.mark.parametrize("count", [50, 100, 500], ids=["shorter", "as long", "longer"])
def test_a_topic_made_anew_is_another_source_read_from_its_beginning(topics, open_collector, count):
    """However many messages it holds by the time that the collector looks again."""
    topic, store = topics.make(), TellingStore()
    collector = open_collector(topics.address(topic), store)
    topics.produce(topic, messages(0, 100))
    collector.until(lambda: collector.has(100))

    topics.delete(topic)
    topics.make(name=topic)
    topics.produce(topic, messages(100, count))
    collector.until(lambda: collector.has(100 + count))

    assert store.ids == ids(100 + count)
    assert len(store.sources) == 2


def test_lag_is_told_by_partition(topics, open_collector):
    """Also after a new start, before anything comes."""
    topic, store = topics.make(partitions=2), TellingStore()
    topics.produce(topic, messages(0, 10), 2)
    before = open_collector(topics.address(topic), store)
    before.until(lambda: before.has(10))
    before.close()

    collector = open_collector(topics.address(topic), store)
    collector.until(lambda: collector.figure("kafka_lag", topic=topic, partition="1") == 0)
    store.busy = True
    topics.produce(topic, messages(10, 10), 2)
    collector.until(lambda: collector.figure("kafka_lag", topic=topic, partition="1") == 5)

    assert collector.figure("kafka_lag", topic=topic, partition="0") == 5
