"""Kafka away at the start, in the middle, at the end: one clear sentence, and nothing lost."""

import time

import pytest
from kafka_collecting import Collecting, TellingStore
from kafka_topics import message
from launchers import free_ports

from txwatch.errors import ConfigurationError, InputError


@pytest.fixture
def open_collector(request):
    def opened(address, **options):
        collector = Collecting(address, TellingStore(), **options)
        request.addfinalizer(collector.close)
        return collector

    return opened


def nowhere():
    return f"127.0.0.1:{free_ports(1)[0]}"


def sentence(collector):
    return collector.service.health().sentence


def test_a_run_to_the_end_without_a_broker_says_so_at_once():
    """It waits for nobody longer than a few seconds."""
    address, began = nowhere(), time.monotonic()

    with pytest.raises(InputError, match=f"Kafka at {address} does not answer: .*Connection refused"):
        Collecting(f"kafka://{address}/payments", TellingStore(), once=True)

    assert time.monotonic() - began < 15


def test_a_run_to_the_end_without_its_topic_names_one_that_is_there(topics):
    """A mistyped topic is no reason to wait."""
    topic = topics.make()

    with pytest.raises(InputError, match=f"has no topic {topic}x.*{topic}"):
        Collecting(topics.address(f"{topic}x"), TellingStore(), once=True)


def test_a_collector_waits_for_a_broker_that_comes_later(kafka, topics, open_collector):
    """Its health says who does not answer; then it reads."""
    topic = topics.make()
    topics.produce(topic, [message(0)])
    kafka.stop()
    collector = open_collector(topics.address(topic))
    collector.until(lambda: "Connection refused" in sentence(collector))
    state = collector.service.health().state
    kafka.start()

    collector.until(lambda: collector.has(1))

    assert state == "degraded"
    assert collector.service.health().state == "ok"


def test_a_collector_waits_for_a_topic_that_comes_later(topics, open_collector):
    """Its health names the topic for as long as it is missing."""
    name = f"later-{id(topics)}"
    collector = open_collector(topics.address(name, **{"topic.metadata.refresh.interval.ms": 500}))
    collector.until(lambda: name in sentence(collector))
    topics.make(name=name)
    topics.produce(name, [message(0)])

    collector.until(lambda: collector.has(1))


def test_a_broker_that_is_killed_and_comes_back_costs_nothing(kafka, topics, open_collector):
    """All is stored; a commit that the dead broker swallowed is made up for by the next collector at least.

    librdkafka may leave a commit unanswered after the group's coordinator was killed (in one of five
    runs): the messages are stored, the lag stays until the collector joins anew, a minute later.
    """
    topic = topics.make()
    topics.produce(topic, [message(number) for number in range(100)])
    collector = open_collector(topics.address(topic))
    collector.until(lambda: collector.has(100))
    kafka.kill()
    collector.until(lambda: sentence(collector).startswith("Kafka: "))
    kafka.start()
    topics.produce(topic, [message(number) for number in range(100, 200)])

    collector.until(lambda: collector.has(200))
    collector.service.close()
    following = open_collector(topics.address(topic))
    following.until(lambda: topics.committed(topic, topic) == [200])

    assert collector.store.ids == sorted(f"t{number}" for number in range(200))
    assert collector.figure("kafka_errors_total", error="transport") >= 1


def test_a_collector_whose_commits_are_not_answered_joins_anew_and_goes_on(
    topics, open_collector, monkeypatch
):
    """What was not committed comes again; it is stored once, and the same collector's commits arrive."""
    topic = topics.make(partitions=3)
    topics.produce(topic, [message(number) for number in range(100)])
    collector = open_collector(topics.address(topic))
    collector.until(lambda: collector.has(100))
    before = collector.figure("kafka_rebalances_total")
    monkeypatch.setattr("collector.kafka.source.ANSWERED_WITHIN", -1.0)
    topics.produce(topic, [message(number) for number in range(100, 200)])
    collector.until(lambda: collector.figure("kafka_partitions") == 0)
    monkeypatch.undo()

    collector.until(lambda: collector.has(200))
    collector.until(lambda: sum(max(0, each) for each in topics.committed(topic, topic, 3)) == 200)

    assert collector.store.ids == sorted(f"t{number}" for number in range(200))
    assert collector.figure("kafka_rebalances_total") > before


def test_a_collector_ends_although_kafka_is_away(kafka, topics, open_collector):
    """What was stored and not committed comes again and is known."""
    topic = topics.make()
    topics.produce(topic, [message(0)])
    collector = open_collector(topics.address(topic))
    collector.until(lambda: collector.has(1))
    kafka.kill()
    began = time.monotonic()
    collector.close()
    took = time.monotonic() - began
    kafka.start()

    assert took < 15


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"no.such.setting": 1}, r"No such configuration property.*TXWATCH_KAFKA_NO_SUCH_SETTING"),
        ({"session.timeout.ms": "soon"}, r"session.timeout.ms.*TXWATCH_KAFKA_SESSION_TIMEOUT_MS"),
        (
            {"enable.auto.commit": "true"},
            "enable.auto.commit cannot be set: that nothing is lost rests on it",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_where_it_may_come_from(option, told):
    """Before anything is connected."""
    query = "&".join(f"{name}={value}" for name, value in option.items())

    with pytest.raises(ConfigurationError, match=told):
        Collecting(f"kafka://{nowhere()}/payments?{query}", TellingStore())
