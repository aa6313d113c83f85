"""Whether Kafka answers and has the topics, asked once: for a run to the end, which waits for nothing."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from collector.kafka.address import KafkaAddress, is_pattern
from collector.kafka.clients import opened
from collector.kafka.settings import Config
from collector.kafka.trouble import Trouble
from txwatch.errors import ConfigurationError, InputError
from txwatch.problems import did_you_mean

ANSWERED_WITHIN = 8.0


def make_sure(address: KafkaAddress, client: Config) -> None:
    """Return if the topics are there; raises InputError or ConfigurationError with what is wrong."""
    there = topics_there(address, client)
    for topic in address.topics:
        if is_pattern(topic) or topic in there:
            continue
        meant = did_you_mean(topic, sorted(there))
        raise InputError(f"Kafka at {address.servers} has no topic {topic}{meant and '; '}{meant}")


def topics_there(address: KafkaAddress, client: Config) -> set[str]:
    """Return the names of all topics; raises InputError or ConfigurationError if Kafka does not tell."""
    trouble = Trouble()
    admin = opened(AdminClient, client | {"error_cb": trouble.note})
    try:
        return set(admin.list_topics(timeout=ANSWERED_WITHIN).topics)
    except KafkaException as error:
        admin.poll(0)
        if trouble.refusal:
            raise ConfigurationError(trouble.refusal) from error
        why = trouble.sentence() or error.args[0].str()
        raise InputError(f"Kafka at {address.servers} does not answer: {why}") from error
