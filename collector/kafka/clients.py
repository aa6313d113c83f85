"""librdkafka's clients, opened; a setting that it refuses is named together with where it may come from."""

from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from collector.kafka.settings import Config, explain
from txwatch.errors import ConfigurationError

Client = TypeVar("Client", Consumer, Producer, AdminClient)


def opened(kind: type[Client], config: Config) -> Client:
    """Return a client; nothing is connected yet.  Raises ConfigurationError."""
    try:
        return kind(dict(config))
    except KafkaException as error:
        raise ConfigurationError(explain(error.args[0].str())) from error
