"""Open topics as a source, or send to one; the library is imported here and not before."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from collector.decode import Decoder
from collector.kafka.address import is_pattern, parse_address
from collector.kafka.letters import Letter
from collector.kafka.settings import (
    client_config,
    consumer_config,
    kafka_settings,
    producer_config,
    without_dead_letters,
)
from collector.schema import Schema
from collector.source import SharedSource
from txwatch.errors import UsageError
from txwatch.model import Partition
from txwatch.ports import QuarantineStore

Send = Callable[[Sequence[tuple[bytes, bytes]]], None]
"""Takes keys and values; returns when they are acknowledged."""


def open_kafka(
    text: str,
    schema: Schema,
    environment: Mapping[str, str],
    *,
    now: Callable[[], datetime],
    keep: timedelta,
    forget: Callable[[Iterable[Partition]], None],
    dead_letters: QuarantineStore | None,
    until_end: bool,
) -> SharedSource:
    """Join the consumer group that an address names.

    `keep` is how long the store keeps transactions, `forget` tells it that others may write partitions.
    Raises UsageError or ConfigurationError for what cannot be.  Kafka itself and its topics are waited for,
    but not with `until_end`: then what is missing is an InputError.
    """
    address = parse_address(text)
    settings = kafka_settings(address, environment)
    with needing_kafka():
        from collector.kafka.probe import make_sure  # noqa: PLC0415 - the library is optional
        from collector.kafka.source import KafkaSource, Reading  # noqa: PLC0415 - the library is optional

        reading = Reading(
            topics=address.topics,
            consumer=without_dead_letters(consumer_config(address, environment), address, environment),
            client=client_config(address, environment),
            keep=keep if settings.live == "on" else None,
            epoch=settings.epoch,
            until_end=until_end,
        )
        if until_end:
            make_sure(address, reading.client)
        return KafkaSource(reading, Decoder(schema), now, forget=forget, dead_letters=dead_letters)


def open_sending(text: str, environment: Mapping[str, str]) -> Send:
    """Return what sends keys and values to the one topic of an address and waits until they are there.

    Raises UsageError, ConfigurationError, or InputError if Kafka does not answer now.
    """
    address = parse_address(text)
    (topic, *more) = address.topics
    if more or is_pattern(topic):
        raise UsageError("name one topic to send to")
    with needing_kafka():
        from collector.kafka.posting import PostOffice  # noqa: PLC0415 - the library is optional
        from collector.kafka.probe import topics_there  # noqa: PLC0415 - the library is optional

        client = client_config(address, environment)
        topics_there(address, client)
        office = PostOffice(producer_config(address, environment), client, "messages")

    def send(messages: Sequence[tuple[bytes, bytes]]) -> None:
        office.send([(topic, Letter(key=key, value=value)) for key, value in messages])

    return send


@contextmanager
def needing_kafka() -> Iterator[None]:
    """Say what to install where the library is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            "kafka:// needs the library confluent-kafka: pip install 'txwatch[kafka]'"
        ) from error
