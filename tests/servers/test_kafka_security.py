"""TLS and a password towards a real broker, by settings alone; what is wrong with them is one sentence."""

import pytest
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka_collecting import Collecting, TellingStore
from kafka_security import PASSWORD, USER
from kafka_topics import message

from collector.deadletter import open_dead_letters
from txwatch.errors import ConfigurationError, UsageError


@pytest.fixture
def environment(kafka):
    return {
        "TXWATCH_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "TXWATCH_KAFKA_SSL_CA_LOCATION": kafka.authority.ca,
        "TXWATCH_KAFKA_SASL_MECHANISMS": "PLAIN",
        "TXWATCH_KAFKA_SASL_USERNAME": USER,
        "TXWATCH_KAFKA_SASL_PASSWORD": PASSWORD,
    }


def with_scram(kafka, user):
    """Give a user a password for SCRAM."""
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    admin = AdminClient({"bootstrap.servers": kafka.address})
    told = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user, info, PASSWORD.encode())])
    told[user].result(30)


def secured(topics, *names):
    return topics.address(*names).replace(topics.kafka.address, topics.kafka.secure_address)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_consumer_and_dead_letters_go_over_tls_with_a_password(kafka, topics, environment, mechanism):
    """Any setting of librdkafka is a variable; every client of the source uses it."""
    with_scram(kafka, USER)
    environment["TXWATCH_KAFKA_SASL_MECHANISMS"] = mechanism
    topic = topics.make()
    topics.produce(topic, [message(0), b"bad"])
    collector = Collecting(secured(topics, topic), TellingStore(), environment, once=True)

    collector.until(lambda: collector.handled == 2)
    collector.close()

    letters = open_dead_letters(secured(topics, topic), environment).quarantined()
    assert collector.store.ids == ["t0"]
    assert [each.rejected.raw for each in letters] == [b"bad"]


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("TXWATCH_KAFKA_SASL_PASSWORD", "wrong", "uthentication fail"),
        ("TXWATCH_KAFKA_SSL_CA_LOCATION", "", "certificate verify failed"),
    ],
)
def test_what_waiting_does_not_cure_ends_the_collector_with_its_reason(
    topics, environment, variable, value, told, once
):
    """A wrong password, a certificate of a stranger: exit code 3 instead of endless attempts."""
    topic = topics.make()
    environment = {name: text for name, text in (environment | {variable: value}).items() if text}

    with pytest.raises(ConfigurationError, match=told):
        run(Collecting(secured(topics, topic), TellingStore(), environment, once=once))


def run(collector):
    """Step until it raises."""
    try:
        collector.until(lambda: False)
    finally:
        collector.close()


def test_a_secret_in_the_address_is_refused():
    """Everybody on the machine would see it in the list of processes."""
    with pytest.raises(UsageError, match="set TXWATCH_KAFKA_SASL_PASSWORD instead"):
        Collecting("kafka://localhost:9/payments?sasl.password=x", TellingStore())
