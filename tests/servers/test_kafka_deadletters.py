"""Messages that are no transactions lie in a dead-letter topic, with everything that is known of them."""

import hashlib

import pytest
from kafka_collecting import Collecting, TellingStore
from kafka_topics import message

from collector.deadletter import open_dead_letters

BAD = [
    message(1, amount=-1),
    b"{not json",
    message(3, user_id=None),
    b"\xff\xfe",
    b"",
    message(6, amount="x"),
]


@pytest.fixture
def collected(topics, request):
    """Collects what is in a topic; returns the collector."""

    def run(address, count):
        collector = Collecting(address, TellingStore())
        request.addfinalizer(collector.close)
        collector.until(lambda: collector.handled >= count)
        return collector

    return run


def raw_letters(topics, topic):
    """What any other Kafka client sees."""
    return [(each.key(), each.value(), dict(each.headers() or ())) for each in topics.read(f"{topic}.dead")]


def test_a_rejected_message_is_in_the_dead_letter_topic_with_its_reason(topics, collected):
    """Byte for byte, with reason, field, position, time, length and hash in the headers."""
    topic = topics.make()
    topics.produce(topic, [message(0), *BAD])

    collector = collected(topics.address(topic), 7)

    letters = raw_letters(topics, topic)
    source = next(iter(collector.store.sources))
    key, value, headers = letters[0]
    assert [each[1] for each in letters] == BAD
    assert key == f"{source}:0:1".encode()
    assert {
        name: headers[name] for name in ("reason", "field", "source", "partition", "sequence", "length")
    } == {
        "reason": b"out_of_range",
        "field": b"amount",
        "source": source.encode(),
        "partition": b"0",
        "sequence": b"1",
        "length": str(len(value)).encode(),
    }
    assert headers["sha256"] == hashlib.sha256(value).hexdigest().encode()
    assert headers["sentence"] == b"amount is negative"
    assert collector.service.health().figures["quarantined_out_of_range_total"] == 1


def test_a_message_that_was_rejected_twice_is_one_record(topics, collected):
    """The letters are two, under one key; the quarantine shows the first."""
    topic = topics.make()
    topics.produce(topic, BAD)
    collected(topics.address(topic), len(BAD)).close()
    again = topics.address(topic, group="another")
    collected(again, len(BAD))

    records = open_dead_letters(again, {}).quarantined()

    assert len(topics.read(f"{topic}.dead")) == 2 * len(BAD)
    assert [(each.sequence, each.rejected.raw) for each in records] == list(enumerate(BAD))[::-1]


def test_what_is_dropped_is_read_no_more_and_may_come_again(topics, collected):
    """Dropping is a letter of its own; a later record under the same key is a new one."""
    topic = topics.make()
    topics.produce(topic, BAD)
    collected(topics.address(topic), len(BAD))
    letters = open_dead_letters(topics.address(topic), {})
    first, *others = letters.quarantined()

    letters.drop([first])
    left = letters.quarantined()
    letters.quarantine([first])

    assert left == others
    assert first in letters.quarantined()


def test_a_message_beyond_the_topics_limit_is_shortened_with_its_length_and_hash(topics, collected):
    """Kafka's limit of the dead-letter topic decides; what is kept is the beginning."""
    topic = topics.make()
    topics.make(name=f"{topic}.dead", max_message_bytes="2000")
    long = b'{"transaction_id": "' + b"x" * 10_000
    topics.produce(topic, [long, message(1)])

    collected(topics.address(topic), 2)

    record = open_dead_letters(topics.address(topic), {}).quarantined()[0]
    assert record.rejected.length == len(long)
    assert record.rejected.sha256 == hashlib.sha256(long).hexdigest()
    assert 500 < len(record.rejected.raw) < 2_000
    assert long.startswith(record.rejected.raw)


def test_ten_million_bytes_cost_only_themselves(topics, collected):
    """The neighbours are stored; of the long one the beginning is kept."""
    topic = topics.make(max_message_bytes="12000000")
    long = message(1, extra="y" * 10_000_000)
    topics.produce(topic, [message(0), long, message(2)])

    collector = collected(topics.address(topic), 3)

    record = open_dead_letters(topics.address(topic), {}).quarantined()[0]
    assert collector.store.ids == ["t0", "t2"]
    assert (record.rejected.length, len(record.rejected.raw)) == (len(long), 65_536)


def test_topics_of_a_pattern_have_dead_letters_of_their_own_which_are_not_read(topics, collected):
    """Also a topic that is made later; dead letters match the pattern and are left alone."""
    name = topics.make(name=f"shop{id(topics)}-a")
    topics.produce(name, [message(0), b"bad a"])
    address = topics.address(f"^shop{id(topics)}-.*", **{"topic.metadata.refresh.interval.ms": 500})
    collector = collected(address, 2)

    later = topics.make(name=f"shop{id(topics)}-b")
    topics.produce(later, [message(1), b"bad b"])
    collector.until(lambda: collector.handled == 4)

    records = open_dead_letters(address, {}).quarantined()
    assert collector.store.ids == ["t0", "t1"]
    assert {each.rejected.raw for each in records} == {b"bad a", b"bad b"}
    assert {f"{name}.dead", f"{later}.dead"} <= topics.names()
    assert not any(each.endswith(".dead.dead") for each in topics.names())


def test_several_topics_may_share_one_dead_letter_topic(topics, collected):
    """As the setting `dead` says; two topics in one address are two sources."""
    first, second = topics.make(), topics.make()
    topics.produce(first, [message(0), b"bad a"])
    topics.produce(second, [message(1), b"bad b"])
    address = topics.address(first, second, dead=f"{first}-letters")

    collector = collected(address, 4)

    records = open_dead_letters(address, {}).quarantined()
    assert len(collector.store.sources) == 2
    assert {each.rejected.raw for each in records} == {b"bad a", b"bad b"}
    assert f"{first}.dead" not in topics.names()


def test_the_store_may_keep_the_quarantine(topics, collected):
    """With dead=store there is no topic."""
    topic = topics.make()
    topics.produce(topic, [message(0), b"bad"])

    collector = collected(topics.address(topic, dead="store"), 2)

    assert [each.rejected.raw for each in collector.store.quarantined()] == [b"bad"]
    assert f"{topic}.dead" not in topics.names()
